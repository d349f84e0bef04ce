"""A provider that answers by itself: no network, no key, the same answer every time.

Read it in this order:

- `answers.py`: what a request is answered with, and `chat.py` for chats; `openai.py` has the shapes, `speech.py` the
  words, `vectors.py` the embeddings, `errors.py` the errors, `bodies.py` and `replies.py` what comes of them
- `gateway/resources/misbehaviour.py`: the misbehaviour that may be asked for, which is what operators write;
  `wishes.py`: the places where a request finds it; `courses.py`: what holds for this one of many requests
- `steps.py`: what a provider does, one after the other: wait, say, break off
- `streaming.py`: an answer as steps; `tampering.py`: what is then done to their bytes
- `script.py`: all of this together
- `books.py`: what was asked and said, and how many tokens that was, for whoever wants to compare
- `server.py`: plays the steps to a client, at the client's pace, and enters them in the books
- `in_process.py`: reaches the simulator of this process over a socket pair
- `alone.py`: the simulator as a server of its own, for `llmgateway simulate`

Everything but the last three is pure: bytes in, values out.  How to use it is in `docs/simulator.md`.
"""
