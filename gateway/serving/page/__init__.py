"""The live page of the admin port: what an engineer on call looks at first.  It shows, and changes nothing.

    live_page    puts it together: the whole page at `/`, and its updates for as long as somebody looks
    work         has everything done in another thread, at a bounded cost
    sampler      reads the metrics now and then
    reading      what the metrics said at one moment
    counts       what was counted, as it is kept and as the page reckons with it
    history      the readings of the last hour, and the charts' points made of them
    quantiles    percentiles from a histogram's buckets
    activity     what went on between two readings, by tenant, rule, backend and provider
    inventory    what a snapshot has that can be shown: rules with their backends, providers
    overview     everything that the page shows, at one moment
    findings     what is wrong now, in sentences
    document     the page as a whole, and the form to sign in
    explain_form the form of `explain`, and the question that somebody asks with it
    sections     its parts; each is made anew where it has changed, and replaced by itself
    numbers      the part that tells in figures what happens as a whole
    failures     the part that tells of exchanges that went wrong
    routes       the part that shows rules with their backends
    providers    the part that shows providers with breakers, keys and attempts
    tables       tables of thousands, of which those rows are seen that somebody has to look at
    wording      numbers, times and strangers' texts as people read them
    markup       elements as text, with everything escaped that is none
    viewers      the browsers that look on, by server-sent events
    static_files scripts, style, icon, and uPlot, which draws the charts

Nothing is counted for the page while requests run, but the status of an attempt that has failed with one: rates and
percentiles are differences between readings of the metrics.  Every text gets into the page through `markup.py`, which
escapes it.
"""
