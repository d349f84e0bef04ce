"""HTTP/1.1 on sockets: Twisted protocols over llhttp (`httptools`).  Knows no LLM and no configuration.

The client's side:

- `ports` – listening sockets, our own and inherited ones.
- `listening` – the connections of one listener, made, counted and ended together.
- `downstream` – a client's connection: requests in, answers out, one exchange at a time.
- `request_receiving` – its reading half: heads, bodies, what is sent ahead, and how long each may take.
- `exchanging` – what the floor above is asked: to take a request, and to answer it.
- `request_parsing` – bytes to heads and bodies, a message at a time; every bound on size.
- `repeated_head` – a head that its client sends again and again, understood once.
- `request_judging` – which heads are served, and which are refused.
- `request_refusals` – what is said of requests that cannot be taken.
- `answering` – an answer on its way out, and whether it keeps its word about its length.
- `client_names` – the names in a client's certificate.
- `responses` – the bytes of an answer's head.
- `closing` – the end of a connection, with patience and without hanging.
- `tls_endpoint` – `tls:…`, an endpoint that speaks TLS and asks clients for certificates.
- `tls_files` – its certificate, key and authorities, read again when they change.
- `client_handshakes` – who is let in, and why somebody was not.

The provider's side:

- `pools` – connections by destination, within what the newest configuration allows.
- `pool` – those to one destination, and who waits for one.
- `connecting` – TCP, TLS over TCP, a socket pair within this process.
- `names` – the addresses of providers' names.
- `tls`, `certificates` – connections that believe nobody by accident.
- `upstream` – a provider's connection: one request, one answer.
- `holding` – what such a connection asks of who has it: a receiver for an answer, a home in between.
- `answer_failures` – why an answer will never be whole, as facts.
- `answer_parsing` – a provider's bytes to heads and bodies.
- `chunks` – bodies in chunks.
- `memo` – what was made of lines that come again and again.

Both sides:

- `contexts`, `judging`, `verdicts` – TLS: what OpenSSL is told, what it is asked, what it says.
- `limits` – every number with its reason.
- `sending` – past the transport when the turn is over, through it where the socket would not take everything.
- `peer` – what the kernel knows of the other end.
- `addresses` – addresses for people to read.
- `sweep` – one coarse timer for all deadlines.
- `counts` – what is counted for metrics, as plain numbers.
"""
