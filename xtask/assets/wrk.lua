-- Prints wrk's summary as one line of JSON, because its own text rounds to three digits.
function done(summary, latency)
    local e = summary.errors
    io.write(string.format(
        'SUMMARY {"requests":%d,"duration_us":%d,"failed":%d,"p50_us":%d,"p99_us":%d}\n',
        summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
        latency:percentile(50), latency:percentile(99)))
end
