# Varnish, set up as an expert would for an origin that fails and whose answers may not be cached: five tries of
# whatever may be repeated, and bodies held back until they are whole, so that one that breaks off is fetched again.
vcl 4.1;
import directors;

@SERVERS@

sub vcl_recv {
    if (req.url == "/__ready") {
        return (synth(200));
    }
    set req.backend_hint = origin.backend();
    return (pass);
}

sub vcl_backend_fetch {
    if (bereq.retries > 0) {
        set bereq.backend = origin.backend();
    }
}

sub vcl_backend_response {
    if ((beresp.status >= 500 || beresp.status == 429) && bereq.method == "GET" && bereq.retries < 4) {
        return (retry);
    }
    set beresp.do_stream = false;
    set beresp.uncacheable = true;
    return (deliver);
}

sub vcl_backend_error {
    if (bereq.method == "GET" && bereq.retries < 4) {
        return (retry);
    }
}
