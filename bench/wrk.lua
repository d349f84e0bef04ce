-- Sends the body in BENCH_BODY to the host in BENCH_HOST; the last line printed is the result as JSON.
wrk.method = "POST"
wrk.body = os.getenv("BENCH_BODY")
wrk.headers["Host"] = os.getenv("BENCH_HOST")
wrk.headers["Content-Type"] = "application/json"
wrk.headers["User-Type"] = "subscriber"
wrk.headers["Authorization"] = "Bearer sk-of-the-client"

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"completed": %d, "seconds": %.6f, "p50_us": %.1f, "p99_us": %.1f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
