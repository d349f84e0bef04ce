"""What providers and clients speak: bytes in, bytes out, no sockets and no clock.

    operations.py   which operation a client means by method and path
    envelope.py     a JSON body opened one level deep, judged strictly, and put together again
    sse.py          server-sent events from any split of the bytes
    loose_json.py   JSON as providers write it, whatever strict readers refuse of it
    tally.py        how the counts of tokens that one stream tells add up
    dialect.py      the interface that one provider's file implements
    retry_after.py  how long a provider asks to wait
    openai.py       OpenAI's dialect, which most providers speak, with
        openai_events.py      what one event of a stream says
        openai_answers.py     what a whole answer says, or its ends where it is too long
        openai_usage.py       how many tokens either says it has counted
        openai_watching.py    what a stream has said so far, and what of it goes to the client
        openai_errors.py      which kind of error an error is
        openai_continuing.py  asking for the rest of a broken answer, and making it part of the same stream
        openai_joining.py     all that a stream says, much as a whole answer has it
        openai_logprobs.py    how probable those words of an event were that are left of it
    table.py        the dialects by the name of their block in an LLMProvider

A new dialect is one new file and one new row in the table.  Dialects do not import one another.
"""
