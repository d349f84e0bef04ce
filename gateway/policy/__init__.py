"""Decisions: functions of values and, where it matters, a clock time.  They keep no state and know no configuration.

    balancing       whose turn it is, by weight
    sticking        which backend a value sticks to
    retrying        what to do after a failed attempt
    budgeting       how many retries a provider gets
    breaking        when to stop sending to a backend, and when to look again
    key_choosing    which keys of a pool may be used
    continuing      how to go on with an answer that broke
    estimating      how many tokens there were, where nobody has counted
    pricing         what they cost
    redacting       what is taken out of a content before anybody keeps it

They do not import one another: whoever asks brings their answers together.
"""
