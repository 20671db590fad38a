"""The inspector: pages in which a person sees what an agent remembers, why it was recalled, and makes it forget.

The pages are made on the server, on purpose. What they show is text that strangers wrote, and a template that escapes
everything is the one place where that can be got right; a page that is whole when it arrives works without script, prints,
is read by a screen reader, and has its whole state in its address, so that it can be sent to a colleague and the back button
means what it says. There is nothing to build and nothing to fetch from elsewhere. One small script adds keys and the slider.

`pages.router(desk)` makes the routes; `desk.py` says what a server lends them.
"""
