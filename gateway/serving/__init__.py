"""The life of a request, and the admin port.

reception   a judged request head -> an Exchange, or a refusal
exchange    the life of one request, phase by phase; the only file that knows the order
outgoing    original + backend -> the request to send, secrets still wrapped
routing     head -> route -> rule, or the refusal that the client is told; pure
attempt     one try at one backend; ends in facts
answer      the client's side: the one place that writes to it
upload      a request body that is streamed through
models      GET …/models, answered from the route
refusals    a GatewayError -> an error body in the client's dialect
scrubbing   keeps our secrets out of what a provider says
explaining  what the gateway would do with a request, without doing it
status      what the gateway says about itself
admin       /metrics /healthz /readyz /config, on a port of their own
"""
