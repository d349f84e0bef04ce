"""The live page of the admin port: what an engineer on call looks at first.  It shows, and changes nothing.

    live_page    puts it together: the whole page at `/`, and its updates for as long as somebody looks
    sampler      reads the metrics now and then, at a bounded cost
    reading      what the metrics said at one moment
    history      the readings of the last hour, and the charts' points made of them
    quantiles    percentiles from a histogram's buckets
    inventory    what a snapshot has that can be shown: rules with their backends, providers
    overview     everything that the page shows, at one moment
    findings     what is wrong now, in sentences
    document     the page as a whole, and the form to sign in
    sections     its parts; each is replaced by itself where it has changed
    numbers      the part that tells in figures what happens as a whole
    failures     the part that tells of exchanges that went wrong
    wording      numbers, times and strangers' texts as people read them
    markup       elements to text
    viewers      the browsers that look on, by server-sent events
    static_files script, style, icon, and uPlot, which draws the charts

Nothing is counted for the page while requests run: rates and percentiles are differences between readings of the
metrics.  Every text gets into the page through `twisted.web.template`, which escapes it.
"""
