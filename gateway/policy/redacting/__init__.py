"""Redaction: what is taken out of a content before anybody keeps it.

allowance      how much may be found in one exchange
opened_json    JSON as its texts read, and back
patterns       what looks like something that nobody should keep
secret_names   members of JSON whose names say that their values are secret
known_secrets  what the configuration holds, wherever somebody repeats it
content        a content with all of that taken out, and cut

It works on bytes as a whole, by passes that each are one call of C: a content of a hundred thousand little texts takes
no longer than one of a long one.  Only what is found costs more, and of that there is an allowance.
"""
