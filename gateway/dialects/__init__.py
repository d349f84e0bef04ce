"""What providers and clients speak: bytes in, bytes out, no sockets and no clock.

    operations.py   which operation a client means by method and path
    envelope.py     a JSON body opened one level deep, judged strictly, and put together again
    sse.py          server-sent events from any split of the bytes
    dialect.py      the interface that one provider's file implements
    openai.py       OpenAI's dialect, which most providers speak
    table.py        the dialects by the name of their block in an LLMProvider

A new dialect is one new file and one new row in the table.  Dialects do not import one another.
"""
