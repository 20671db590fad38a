"""A conversation of two over several sessions, as people talk: they greet, ask, change their minds, and speak of "you"."""

from __future__ import annotations

from systems.worlds import Said

_TALK = """
mon 20 Ann: Hi Bob! I moved to Porto last week.
mon 20 Bob: Oh, you love the sea, so that suits you. I live in Paris with my sister Clara.
mon 20 Ann: What does she do?
mon 20 Bob: She works as a nurse. My favourite tea is green tea.
mon 20 Ann: Mine is black tea. I have a dog called Rex.
mon 20 Bob: I have a cold at the moment, so I stay in bed.
tue 14 Bob: The cold is gone. I moved to Rome yesterday!
tue 14 Ann: Really? You always said you would never leave Paris.
tue 14 Bob: I know. I work at Bosch now, and Clara works as a teacher.
tue 14 Ann: My favourite tea is green tea now.
tue 14 Ann: I play the violin every Friday, and I am allergic to nuts.
tue 14 Bob: I no longer drink coffee. Thanks for asking about my garden.
 7 Ann: colour: blue
 7 Ann: colour: green
wed 5 Bob: Your dog Rex looks happy in the picture.
wed 5 Ann: He is five years old now. I bought him a new basket because the old one broke.
wed 5 Bob: I booked a flight to Porto for June 3.
wed 5 Ann: Great, I will show you the river and the old library.
wed 5 Bob: Do you still play the violin?
wed 5 Ann: No, I stopped playing the violin. I learn the piano instead.
thu 1 Bob: I cancelled the flight to Porto because I broke my leg.
thu 1 Ann: I am sorry to hear that! I will visit you in Rome.
"""
STORY = [
    Said(f"s{at}", text.strip(), words[0] if len(words) == 3 else None, words[-1], int(words[-2]))
    for at, line in enumerate(_TALK.strip().splitlines())
    for head, _, text in [line.partition(":")]
    for words in [head.split()]
]
