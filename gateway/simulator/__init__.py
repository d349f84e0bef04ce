"""A provider that answers by itself: no network, no key, the same answer every time.

Read it in this order:

- `answers.py`: what a request is answered with; `openai.py` has the shapes, `speech.py` the words,
  `vectors.py` the embeddings
- `drills.py`: the misbehaviour that a request may ask for in its `x-simulate` header
- `script.py`: answer and drill together, as steps: wait, say, break off
- `server.py`: plays the steps to a client, at the client's pace
- `in_process.py`: reaches the simulator of this process over a socket pair
- `alone.py`: the simulator as a server of its own, for `llmgateway simulate`

Everything but the last three is pure: bytes in, values out.  How to use it is in `docs/simulator.md`.
"""
