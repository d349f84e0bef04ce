"""What the gateway tells its operators: numbers to scrape, and a line for each exchange.

    outcomes      how an exchange ended, in a closed vocabulary
    families      every metric: its name, type, labels and meaning
    family        what a metric is, and what was counted of it
    exposition    the text of a scrape, made piece by piece
    metrics       counts, and hands the counts to whoever scrapes
    series        what is counted of exchanges that have ended
    attempt_counts  what is counted of attempts, by the backend that was asked
    discarded_counts  what is counted of answers that no client got anything of
    reloads       how the configuration stands, and what came of its changes
    sources       what is asked when somebody scrapes: connections, keys, the event loop
    names         what is configured now; counts of the rest are let go of
    gen_ai_families, gen_ai_counts  OpenTelemetry's metrics of generative AI
    exchange_record  what is said of one exchange
    access_log    one line of JSON for each finished exchange
    recent_failures  those of late that did not go well, in memory, for people
    capture_log   what clients of some tenants asked and were answered
    line_log      gathers lines, and writes them a few times a second
    line_output   the file or pipe that the lines go to; never makes the gateway wait
    safe_lines    lines that stay lines, and that no terminal acts upon
    gateway_log   the gateway's own log, as text or as JSON
    own_lines     its lines on the standard output, at once
    trace_context the headers by which a request belongs to a trace
    traces        what is recorded of exchanges for tracing
    tracing       whether there is any, as the configuration says
    span_losses   what a collector has not taken, and what the log says of it
    otlp          the border to the OpenTelemetry SDK, which sends spans to a collector
    gen_ai        OpenTelemetry's words for operations and providers
    supervisor    what systemd, or whoever started the process, is told

Label values come from configuration only, so no client can make a new series.
"""
