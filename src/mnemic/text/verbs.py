"""English verbs by their written form: what is one, in which tense, and how it looks after "she".

The one idea: closed lists of the irregular and the common, and endings for the rest. No part-of-speech tagger: a form that
may be two things is decided by the caller, who knows what stands around it.
"""
# ruff: noqa: SIM905 - word lists are read and edited as text

from __future__ import annotations

MODALS = frozenset(
    "can could will would shall should may might must can't cannot couldn't won't wouldn't shan't shouldn't mightn't"
    " mustn't gotta gonna wanna 'll 'd".split()
)
COPULAS = frozenset(
    "am is are was were be been being isn't aren't wasn't weren't 's 're 'm ain't become became becomes".split()
)
AUXILIARIES = (
    MODALS
    | COPULAS
    | frozenset("have has had haven't hasn't hadn't do does did don't doesn't didn't 've having".split())
)

# base, past, past participle
_IRREGULAR = """
be was been|bear bore borne|beat beat beaten|become became become|begin began begun|bend bent bent|bet bet bet|bind bound bound
bite bit bitten|bleed bled bled|blow blew blown|break broke broken|breed bred bred|bring brought brought|build built built
burn burnt burnt|burst burst burst|buy bought bought|cast cast cast|catch caught caught|choose chose chosen|come came come
cost cost cost|creep crept crept|cut cut cut|deal dealt dealt|dig dug dug|do did done|draw drew drawn|dream dreamt dreamt
drink drank drunk|drive drove driven|eat ate eaten|fall fell fallen|feed fed fed|feel felt felt|fight fought fought
find found found|flee fled fled|fly flew flown|forbid forbade forbidden|forget forgot forgotten|forgive forgave forgiven
freeze froze frozen|get got gotten|give gave given|go went gone|grow grew grown|hang hung hung|have had had|hear heard heard
hide hid hidden|hit hit hit|hold held held|hurt hurt hurt|keep kept kept|kneel knelt knelt|know knew known|lay laid laid
lead led led|learn learnt learnt|leave left left|lend lent lent|let let let|lie lay lain|light lit lit|lose lost lost
make made made|mean meant meant|meet met met|pay paid paid|put put put|quit quit quit|read read read|ride rode ridden
ring rang rung|rise rose risen|run ran run|say said said|see saw seen|seek sought sought|sell sold sold|send sent sent
set set set|sew sewed sewn|shake shook shaken|shine shone shone|shoot shot shot|show showed shown|shrink shrank shrunk
shut shut shut|sing sang sung|sink sank sunk|sit sat sat|sleep slept slept|slide slid slid|speak spoke spoken|speed sped sped
spend spent spent|spill spilt spilt|spin spun spun|split split split|spread spread spread|spring sprang sprung
stand stood stood|steal stole stolen|stick stuck stuck|sting stung stung|strike struck struck|swear swore sworn
sweep swept swept|swim swam swum|swing swung swung|take took taken|teach taught taught|tear tore torn|tell told told
think thought thought|throw threw thrown|understand understood understood|wake woke woken|wear wore worn|weave wove woven
weep wept wept|win won won|wind wound wound|withdraw withdrew withdrawn|write wrote written|overcome overcame overcome
undergo underwent undergone|upset upset upset|rebuild rebuilt rebuilt|redo redid redone|outgrow outgrew outgrown
"""
_TRIPLES = tuple(
    (base, past, done)
    for line in _IRREGULAR.split("\n")
    for group in line.split("|")
    if group.strip()
    for base, past, done in [group.split()]
)
PAST: dict[str, str] = {past: base for base, past, _ in _TRIPLES} | {"were": "be", "forgot": "forget"}
PARTICIPLES: dict[str, str] = {done: base for base, _, done in _TRIPLES}
_SAME_PAST = frozenset(base for base, past, _ in _TRIPLES if base == past)  # "I put", "I read": no tense to be seen

# Base forms that are seldom anything but verbs, and so tell a verb where nothing else does.
COMMON = frozenset(base for base, _, _ in _TRIPLES) | frozenset(
    """
    accept achieve admire adopt adore advise afford agree aim allow announce apologise apologize appear apply appreciate argue
    arrange arrive ask assume attend avoid bake believe belong book borrow call camp cancel care carry celebrate change check
    clean climb close collect commute compare complain complete confirm consider contact contain continue convince cook create
    crave cry dance date decide decorate defend deliver depend describe deserve design despise detest develop die disagree
    discover discuss dislike divorce donate earn email embrace employ encourage enjoy enrol enroll enter escape exercise expect
    experience explain explore express face fail fear finish fix follow garden graduate guess handle hate help hike hire hope host
    identify imagine improve include inherit inspire install intend introduce invest invite jog join jump knit last launch laugh
    like list listen live loathe look love maintain major manage marry measure mention mind miss move name need note notice offer
    open order organise organize own paint park participate pass perform photograph pick plan plant play possess postpone
    practice practise prefer prepare pretend prevent promise propose protect publish pursue quote raise reach realise realize
    receive recommend record recover recycle refuse rehearse relate relax relocate remain remember remind rent repair replace
    reply report require research reschedule reserve reside resign retire return review sail save schedule search seem serve
    settle share shop skate sketch ski smoke solve sound start stay stop struggle study subscribe suffer suggest support suppose
    surf survive suspect switch talk taste thank tend text touch train transfer travel treat trust try turn type update upgrade
    use value visit volunteer vote wait walk want warn wash watch weigh welcome wish wonder work worry
    """.split()
)
ADVERBS = frozenset(
    """
    really also just always never still often usually sometimes actually now ever already probably maybe even only too so
    finally recently currently typically generally normally occasionally rarely seldom hardly almost nearly kinda sorta
    definitely absolutely totally truly honestly simply mostly mainly certainly surely clearly obviously apparently first
    then again soon lately once both all rather quite personally originally previously formerly
    """.split()
)

_NEVER_PAST = frozenset(
    "need feed heed seed speed breed bleed proceed succeed exceed embed weed bed red indeed hundred shed wed".split()
)


def is_past(word: str) -> bool:
    """Whether a word in lower case is a verb's past form, or looks like one and nothing else.

    >>> is_past("went"), is_past("moved"), is_past("need"), is_past("put")
    (True, True, False, False)
    """
    if word in PAST or word in PARTICIPLES:
        return word not in _SAME_PAST and word not in ("come", "become", "run", "overcome")
    return len(word) > 3 and word.endswith("ed") and word not in _NEVER_PAST


def is_participle(word: str) -> bool:
    """Whether a word in lower case may follow "had": "gone", "moved".

    >>> is_participle("gone"), is_participle("go"), is_participle("moved")
    (True, False, True)
    """
    return word in PARTICIPLES or (len(word) > 3 and word.endswith("ed") and word not in _NEVER_PAST)


def has_no_tense(word: str) -> bool:
    """Whether its past looks like its present: "put", "read"."""
    return word in _SAME_PAST


def third_singular(verb: str) -> str:
    """A verb as it follows "she" in the present; other forms are left as they are.

    >>> [third_singular(verb) for verb in ("have", "go", "watch", "study", "play", "don't", "am", "can")]
    ['has', 'goes', 'watches', 'studies', 'plays', "doesn't", 'is', 'can']
    """
    low = verb.lower()
    if low in _SPECIAL:
        return _SPECIAL[low]
    if low in AUXILIARIES or is_past(low):
        return verb
    if low.endswith(("s", "x", "z", "ch", "sh", "o")):
        return verb + "es"
    if low.endswith("y") and low[-2:-1] not in tuple("aeiou"):
        return verb[:-1] + "ies"
    return verb + "s"


_SPECIAL = {
    "am": "is",
    "are": "is",
    "aren't": "isn't",
    "ain't": "isn't",
    "were": "was",
    "weren't": "wasn't",
    "have": "has",
    "haven't": "hasn't",
    "do": "does",
    "don't": "doesn't",
    "'ve": "has",
    "'re": "is",
    "'m": "is",
    "quiz": "quizzes",
}


def base_form(word: str) -> str:
    """The form under which a dictionary lists a verb, as far as spelling tells it.

    >>> [base_form(word) for word in ("went", "lives", "moved", "studies", "stopped", "living", "is", "has", "works")]
    ['go', 'live', 'move', 'study', 'stop', 'live', 'be', 'have', 'work']
    """
    low = word.lower().replace("’", "'")
    if low in _TO_BE:
        return "be"
    if low in _TO_HAVE:
        return "have"
    if low in _TO_DO:
        return "do"
    if low in COMMON:
        return low
    if low in PAST:
        return PAST[low]
    if low in PARTICIPLES:
        return PARTICIPLES[low]
    for ending in ("ies", "ied", "ying"):
        if low.endswith(ending):
            stem = low[: -len(ending)]
            return stem + ("ie" if ending == "ying" and stem + "ie" in COMMON else "y")
    for ending in ("ing", "ed", "es", "s"):
        if low.endswith(ending) and len(low) > len(ending) + 1 and not low.endswith("ss"):
            return _restored(low[: -len(ending)], ending)
    return low


_TO_BE = COPULAS - {"become", "became", "becomes"}
_TO_HAVE = frozenset("have has had having haven't hasn't hadn't 've".split())
_TO_DO = frozenset("do does did done doing don't doesn't didn't".split())


def _restored(stem: str, ending: str) -> str:
    """The base form from what is left when an ending is taken off."""
    if ending == "s":
        return stem
    if stem in COMMON:
        return stem
    if stem + "e" in COMMON:
        return stem + "e"
    if len(stem) > 2 and stem[-1] == stem[-2] and stem[-1] not in "aeioulsz":
        return stem[:-1]
    if len(stem) > 2 and stem[-1] == stem[-2] and stem[:-1] in COMMON:
        return stem[:-1]
    if ending == "es":
        return stem if stem.endswith(("s", "x", "z", "ch", "sh", "o")) else stem + "e"
    return stem


def is_verb_form(word: str) -> bool:
    """Whether a word in lower case may be a form of a verb that is known, or has a verb's past ending."""
    low = word.lower().replace("’", "'")
    return low in AUXILIARIES or is_past(low) or base_form(low) in COMMON
