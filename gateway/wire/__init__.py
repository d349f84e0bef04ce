"""HTTP/1.1 on sockets: Twisted protocols over llhttp (`httptools`).  Knows no LLM and no configuration.

The client's side:

- `listening` – the connections of one listener, made, counted and ended together.
- `downstream` – a client's connection: requests in, answers out, one exchange at a time.
- `request_parsing` – bytes to heads and bodies, a message at a time; every bound on size.
- `request_judging` – which heads are served, which are refused, and with what.
- `answering` – an answer on its way out, and whether it keeps its word about its length.
- `responses` – the bytes of an answer's head.
- `closing` – the end of a connection, with patience and without hanging.

The provider's side:

- `pools` – connections by destination.
- `connecting` – TCP, TLS over TCP, a socket pair within this process.
- `names` – the addresses of providers' names.
- `tls`, `contexts`, `certificates` – connections that believe nobody by accident.
- `upstream` – a provider's connection: one request, one answer.
- `answer_parsing` – a provider's bytes to heads and bodies.

Both sides:

- `limits` – every number with its reason.
- `sending` – past the transport when the turn is over, through it where the socket would not take everything.
- `peer` – what the kernel knows of the other end.
- `addresses` – addresses for people to read.
- `sweep` – one coarse timer for all deadlines.
"""
