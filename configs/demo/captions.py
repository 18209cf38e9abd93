"""How a picture of the demonstration gets its caption: a kind and a name, "A bird: silver gull."

The kind follows from the folder in which the picture's authors put it and is one of about 70; the name is the
picture's own title, keyword or file name. So a small model learns the frequent half of a caption quickly and
shows there what its eyes are worth.
"""

import html
import os
import re

MAX_NAME_WORDS = 8
COLLECTION = 5             # a title that so many drawings share may name a collection, not a picture
COMMON_KEYWORD = 20        # a keyword of so many drawings is a theme, not a name

# Folder to kind, the most special first. "" leaves the folder out.
STAMP_KINDS = [
    ("animals/birds", "bird"), ("animals/fish", "fish"), ("animals/insects", "insect"), ("animals", "animal"),
    ("clothes/hats", "hat"), ("clothes", "clothing"),
    ("food/fruit", "fruit"), ("food/vegetables", "vegetable"), ("food/dessert", "dessert"), ("food", "food"),
    ("hobbies/music", "music"), ("hobbies", "household"),
    ("household/tools", "tool"), ("household/dishes", "kitchen"), ("household", "household"), ("medical", "medicine"),
    ("military/vehicles", "vehicle"), ("military", ""), ("naturalforces", "weather"),
    ("people/body_parts", "body part"), ("people", "person"),
    ("plants/flowers", "flower"), ("plants/trees", "tree"), ("plants", "plant"),
    ("seasonal/christmas", "christmas"), ("seasonal", "holiday"), ("space", "space"), ("sports", "sport"),
    ("symbols/alphabets/asl", "hand sign"), ("symbols/alphabets", "letter"), ("symbols/chess", "chess piece"),
    ("symbols/faces", "face"), ("symbols/math/operators", "sign"), ("symbols/math", "number"),
    ("symbols/money", "money"), ("symbols/music", "music"), ("symbols/shapes", "shape"), ("symbols", "sign"),
    ("town/flags", "flag"), ("town/roadsigns", "road sign"), ("town", "building"),
    ("vehicles/ship", "boat"), ("vehicles/flight", "aircraft"), ("vehicles", "vehicle"),
]
DRAWING_KINDS = [
    ("animals/birds", "bird"), ("animals/fish", "fish"), ("animals/bugs", "insect"), ("animals", "animal"),
    ("buildings/furniture", "furniture"), ("buildings", "building"), ("buttons", "button"),
    ("computer/icons", "icon"), ("computer/buttons", "button"), ("computer", "computer"), ("containers", "container"),
    ("decorations", "decoration"), ("education/books", "book"), ("education", "office"), ("electronics", "electronics"),
    ("food/beverages", "drink"), ("food/desserts", "dessert"), ("food/fruit", "fruit"),
    ("food/vegetables", "vegetable"), ("food", "food"),
    ("geography/astronomy", "space"), ("geography", "map"), ("logos", ""), ("office", "office"),
    ("people/bodypart", "body part"), ("people/clothing/hats", "hat"), ("people/clothing/pantyhose", ""), ("people/clothing", "clothing"),
    ("people/smilies", "face"), ("people/stickmen", "stick figure"), ("people", "person"),
    ("plants/flowers", "flower"), ("plants/trees", "tree"), ("plants", "plant"),
    ("recreation/games/cards", "playing card"), ("recreation/games/chess", "chess piece"), ("recreation/games", "toy"),
    ("recreation/holiday/christmas", "christmas"), ("recreation/holiday", "holiday"), ("recreation/music", "music"),
    ("recreation/party", "party"), ("recreation/religion", "religion"), ("recreation/sports", "sport"),
    ("recreation/toys", "toy"), ("recreation", ""), ("science/astronomy", "space"), ("science/medicine", "medicine"),
    ("science", "science"), ("shapes/arrows", "arrow"), ("shapes/stars", "star"), ("shapes/jigsaw", "jigsaw piece"),
    ("shapes/callouts", "speech bubble"), ("shapes/flowchart", "flowchart symbol"), ("shapes", "shape"),
    ("signs_and_symbols/clocks", "clock"), ("signs_and_symbols/flags/semaphore", "semaphore"),
    ("signs_and_symbols/flags", "flag"), ("signs_and_symbols/led", "lamp"), ("signs_and_symbols/money", "money"),
    ("signs_and_symbols/weather", "weather"), ("signs_and_symbols", "sign"),
    ("special/patterns", "pattern"), ("special", ""),  # special/gradients: 118 times the same picture
    ("tools/weapons", "weapon"), ("tools", "tool"),
    ("transportation/roadsigns", "road sign"), ("transportation/boating", "boat"), ("transportation", "vehicle"),
    ("unsorted", ""),
]
NO_ARTICLE = {"clothing", "food", "music", "furniture", "kitchen", "household", "medicine", "christmas", "holiday",
              "space", "sport", "money", "electronics", "weather", "office", "party", "religion", "science"}
PROPER = {"flag", "map", "letter", "hand sign", "money", "space"}  # names keep their capitals
NOT_BARE = {"icon", "computer", "office", "button", "sign", "map", "flag", "electronics", "container", "lamp", "tool"}
SMALL_WORDS = set("an a the of with without and or in on at to for from by its your his her no not up down left right "
                  "two three four".split())
NO_NAME = set("clip art clipart cliparts collection example icon icons image images symbol symbols theme hash part various "
              "submission sibmission advertising simple etiquette mapsym sign signs drawing object people card unsorted "
              "base shape stick man glace action application computer webpage".split())
TYPOGRAPHY = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": " - ", "…": "..."})
NO_NAME_WITH = re.compile(r"(?i)\b(clip|collection|example|nicu|glace|jensen)\b")
UNWANTED = re.compile(r"(?i)\b(sexy|stripper|nude|naked|thongs|nazi|reich|swastika|hitler|cannabis|marijuana)\b")
# Said by the kind already.
ECHO = {"pattern": r"\bpatterns?\b", "jigsaw piece": r"\b(jigsaw|puzzle)\b", "sign": r"\bsigns?\b", "icon": r"\bicons?\b",
        "road sign": r"\bsigns?\b", "button": r"\bbuttons?\b", "arrow": r"\barrow( shape)?\b", "lamp": r"\bled\b",
        "flag": r"(?i)\binternational maritime\b|(\b(official|national|city|civil) +)*\bflags?\b( +of\b)?( +the\b)?",
        "body part": r"\bbody part\b", "hat": r"\bclothing\b", "space": r"(?i)\bspace$",
        "map": r"(?i)\bmap( of\b)?|\boutline\b", "book": r"\bbook$"}


def squeeze(text):
    """Single blanks, and plain quotes and dashes."""
    return " ".join((text or "").translate(TYPOGRAPHY).split())


def kind_of(path, table):
    return next((kind for folder, kind in table if path.startswith(folder + "/")), "")


class Words:
    """WordNet: tells English names from others, and explains things."""

    def __init__(self, files):
        self.known = set()
        self.glosses = []
        for name, data in files:
            lines = [l for l in data.decode("ascii").split("\n") if l and l[0] != " "]
            if name.endswith("data.noun"):
                self.glosses = lines
            else:
                self.known.update(l.split(" ", 1)[0] for l in lines)

    def knows(self, word):
        word = word.lower()
        return word in SMALL_WORDS or any(
            w in self.known for w in (word, re.sub("s$", "", word), re.sub("es$", "", word), re.sub("ies$", "y", word),
                                      re.sub("('s|’s)$", "", word), re.sub("(ing|ed)$", "", word)) if len(w) > 1)

    def explanations(self):
        """Things one can see: name and gloss."""
        kinds = {"05", "06", "08", "13", "17", "19", "20", "25"}   # animal artifact body food object phenomenon plant shape
        for line in self.glosses:
            fields, gloss = line.split(" | ", 1)
            fields = fields.split(" ")
            name = fields[4].replace("_", " ")
            if fields[1] in kinds and re.fullmatch(r"[a-z' -]+", name) and len(name.split()) <= 2:
                yield name, gloss.split("; \"")[0].strip().rstrip(";") + "."


def tidy(name, kind):
    """A name in plain words; case is kept where names are proper."""
    name = re.sub(r"(?i)^clipart by [^-]*- ?", "", squeeze(html.unescape(name)))
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", re.sub(r"[-_/,+.:;!?\"()]+", " ", name))
    name = re.sub(r"(?i)\b(bw|b (and|&) w)\b", "black and white", name)
    name = re.sub(r"(?i)^\s*((an?|the|our|etiquette|contour|bb) +(?=\S))+", "", name)
    if kind not in ("letter", "hand sign", "money", "star", "number"):
        name = re.sub(r"[0-9]+|\b[b-zB-Z]\b", " ", name)
    if kind not in PROPER:
        name = name.lower()
    shorter = squeeze(re.sub(ECHO.get(kind, r"\b\B"), " ", name))
    name = shorter or squeeze(name)
    return name.title() if name == name.lower() and kind in ("flag", "map") else name


def usable(name, kind, words):
    parts = name.split()
    return (0 < len(parts) <= MAX_NAME_WORDS and name.isascii() and re.search("[a-zA-Z]{2}", name)
            and not UNWANTED.search(name) and not NO_NAME_WITH.search(name)
            and not all(p.lower() in NO_NAME or p.lower() in SMALL_WORDS for p in parts)
            and (kind == "flag" or all(words.knows(p) for p in parts)))


def caption(kind, name):
    start = kind if kind in NO_ARTICLE else ("an " if kind[0] in "aeiou" else "a ") + kind
    start = start[0].upper() + start[1:]
    same = not name or name.lower() in (kind, kind + "s") or name.lower() in kind.split()
    return start + "." if same else "%s: %s." % (start, name)


def stamp_name(path, sentence, kind, words):
    file_name = os.path.basename(path)[:-4]
    if kind == "letter":
        m = re.fullmatch(r"The (?:Spanish )?letter (.*)\.", sentence)
        return ("capital " if "uppercase" in path else "small ") + m[1] if m else None
    if kind == "hand sign":
        return re.sub(r"^The sign for the | in American Sign Language.*", "", sentence)
    if kind == "chess piece":
        return ("black " if file_name[0] == "b" else "white ") + re.split(r"\W", sentence)[0].lower()
    first = re.split(r"[.!?,;:(]| - | is | it's | that | used | which ", sentence, 1)[0]
    candidates = [first] if re.match(r"(?i)(an?|the|our) ", first) or (
        len(first.split()) <= 3 and sentence[-1] not in "!?") else []
    for candidate in candidates + [file_name]:
        name = tidy(candidate, kind)
        if usable(name, kind, words):
            return name
    return None


def card_name(file_name):
    suits = {"c": "clubs", "d": "diamonds", "h": "hearts", "s": "spades"}
    ranks = dict(zip("a23456789", "ace two three four five six seven eight nine".split()),
                 **{"10": "ten", "j": "jack", "q": "queen", "k": "king"})
    m = re.fullmatch(r"(?:ornamental|simple|white|bordered)_([cdhs])_(\w+)", file_name)
    return "%s of %s" % (ranks[m[2]], suits[m[1]]) if m and m[2] in ranks else None


def drawing_name(base, title, keywords, kind, words, common):
    """The drawing's own name, "" for none (its kind says enough), None to leave it out."""
    file_name = os.path.basename(base)
    if kind == "playing card" and card_name(file_name):
        return card_name(file_name)
    if kind == "star":
        m = re.match(r"star_0?(\d+)pt", file_name)
        return "" if not m else m[1] + " points" if int(m[1]) <= 12 else None
    if kind == "semaphore":
        return file_name.replace("semaphore_", "")
    file_name = re.sub("^(aiga|contour|svg|gnome-(fs|dev|mime)|sm|sport|clipart)[_-]", "", file_name)
    foreign = re.search("archit|rolland|_franc", base)
    shared = common[title.lower()] >= COLLECTION or "nicu buculei" in title.lower()
    candidates = [] if foreign else [title]
    if shared:
        plain = tidy(title, kind)
        own = ("nicu" not in title.lower() and kind not in PROPER and len(plain.split()) <= 3
               and not NO_NAME & set(plain.split()))
        candidates = ([title] if own else []) + [file_name]
    elif kind == "flag":
        candidates.append(file_name)
    candidates += [k for k in keywords if len(k) > 2 and common["keyword " + k] < COMMON_KEYWORD and kind != "flag"]
    if UNWANTED.search(" ".join([title, file_name] + keywords)):
        return None
    for candidate in candidates:
        name = tidy(candidate, kind)
        if usable(name, kind, words):
            return name
    return None if kind in NOT_BARE else ""
