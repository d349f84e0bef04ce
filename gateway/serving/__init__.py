"""The life of a request, and the admin port.

reception   a judged request head -> an Exchange, or a refusal
exchange    the life of one request, phase by phase; the only file that knows the order
outgoing    original + backend -> the request to send, secrets still wrapped
acquaintance what is remembered of a connection from one request to the next
recognition who is asking, once for each request
routing     head -> route -> rule, or the refusal that the client is told; pure
pursuit     all attempts for one request, until one brings content or none is left to be made
recourse    what becomes of a request after an attempt has failed: again, the next backend, or a last word
candidates  whom to ask, in order
attempts    all attempts for one request, started and counted
attempt     one try at one backend; ends in facts
effort      what one exchange costs the gateway itself, in time
faults      what an attempt ended in -> the facts that policies decide by
pace        how fast a streamed answer came
patience    how long a client is kept waiting, and when a second backend is asked
last_word   what a client is told if nobody answers
relay       the client's answer from its first content on; a stream that breaks goes on elsewhere
sequel      whom to ask for the rest of a stream that broke, when, and how that becomes part of it
mirroring   copies of requests whose answers are thrown away
provider_answer one attempt's answer: read along, cleaned, held until somebody wants it
inflating   a body that is compressed although nobody asked for it
answer      the client's side: the one place that writes to it
surroundings what every exchange uses
upload      a request body that is streamed through
models      GET …/models, answered from the route
refusals    a GatewayError -> an error body in the client's dialect
settling    what is told of an exchange that has ended, and to whom
spending    what its attempts have used and cost, each by itself
capturing   what a tenant wants kept of its exchanges, gathered
redactor    has it redacted in a thread, and logged
costs       what answers cost, by written prices or a catalog's
price_catalog the border to the package that is one
in_thread   how work is given to another thread
spans       what a trace is told of an exchange and its attempts
scrubbing   keeps our secrets out of what a provider says
explaining  what the gateway would do with a request, without doing it
explanation the same as a value: text for people, JSON for machines
questions   a request that somebody asks about
rehearsing  what would come of other files than those that run
inquiries   both questions, answered from what runs
asking      puts them to a running gateway, for the command line
health_check one question to a provider, whether it is well
health_checks who is asked that, and when; breakers learn from it
status      what the gateway says about itself
change_log  what its log says of a change of the configuration
stopping    how it leaves, step by step, and nobody's request is lost
admin_pages /metrics /healthz /readyz /config to read, / to look at
admin_questions /explain and /check, to ask
admin_sign_in the forms by which browsers are let in
admin_answers what one request to it gets
admin_requests what its head says
admin_access who may see them
admin_refusals who may not: counted, and slowed down
local_names by which names they may be asked
page        the live page
admin       the port of their own that they are on
"""
