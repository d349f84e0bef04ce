"""What the gateway tells its operators: numbers to scrape, and a line for each exchange.

    outcomes      how an exchange ended, in a closed vocabulary
    families      every metric: its name, type, labels and meaning
    metrics       counts, and hands the counts to whoever scrapes
    access_log    one line of JSON for each finished exchange
    line_output   the file or pipe that the lines go to; never makes the gateway wait
    supervisor    what systemd, or whoever started the process, is told

Label values come from configuration only, so no client can make a new series.
"""
