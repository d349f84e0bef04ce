"""conf.d -> snapshot, again and again; last good kept, tenant by tenant.

file_content  what a file holds, read once for each time that it changes
listing       which names are in a folder, listed once for each time that they change
unfinished    whether somebody is still writing a file
folder        what lies in conf.d
loading       files -> the next generation; `check` and `explain` load the same way
ways          where a path leads, and what would make it lead elsewhere
observing     the file system's hints that something has changed
pacing        how the thread that does all this leaves time to the reactor
discarding    how what it leaves behind is let go without a pause
tidying       what is done once a generation runs
watching      when to look again, and what is then done
"""
