"""How questions about the events are asked in English.

Fields: those of `harness.data.newsroom.english`. The phrases of a kind name its event in the words of the summary, not
in those of the document, so finding the answer takes more than finding the question's words; and because they name the
event, a document that tells of another one does not answer them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Asking:
    """The phrases that questions about one kind of event are made of.

    Args:
        acted: what the person did, to come after "who".
        asked: what the person did, to come after "where" and "when".
        place: a question for the place that does not name the person.
        amounts: questions for the amount.
        orgs: questions for the organisation.
    """

    acted: str
    asked: str
    place: str
    amounts: tuple[str, ...]
    orgs: tuple[str, ...]


WHO = (
    "Who {acted}?",
    "Which person {acted}?",
    "Who {acted} in {where}?",
    "What is the name of the person who {acted}?",
)
WHERE = ("Where {asked}?", "In which place {asked}?")
WHEN = ("When {asked}?", "On which day {asked}?")
WHEN_BY_NOUN = ("When was the {noun}?", "On which day did the {noun} take place?")
"""Two kinds of events can share a noun, so these are asked only about the document's own event."""

UNTOLD = {
    "who": ("Who is married to {other_who}?", "Who taught {other_who} to read?"),
    "org": (
        "Which organisation paid for the studies of {who}?",
        "Which organisation did {witness} work for at the age of twenty?",
    ),
    "where": ("Where was {who} born?", "In which place did {witness} grow up?"),
    "when": ("When was {who} born?", "On which day did {witness} marry?"),
    "amount": ("How many children does {who} have?", "How many languages does {witness} speak?"),
}
"""Questions that no document answers, by the fact that they ask for."""

ASKINGS = {
    "factory": Asking(
        acted="opened a factory",
        asked="did {who} open a factory",
        place="Where is the new factory?",
        amounts=("How many jobs does the factory create?", "How many people will work in the factory?"),
        orgs=("Which organisation opened a factory?", "Which organisation does the new factory belong to?"),
    ),
    "takeover": Asking(
        acted="heads the organisation that bought a rival firm",
        asked="did {who} buy a rival firm",
        place="Where is the rival firm that was bought?",
        amounts=(
            "How many million pounds did the rival firm cost?",
            "For how many million pounds was the rival firm bought?",
        ),
        orgs=("Which organisation bought a rival firm?", "Which organisation did {who} buy a rival firm for?"),
    ),
    "layoff": Asking(
        acted="announced the closing of an office",
        asked="did {who} announce the closing of an office",
        place="Where is the office that closes?",
        amounts=(
            "How many jobs does the closing of the office cost?",
            "How many people of the office lose their jobs?",
        ),
        orgs=("Which organisation closes an office?", "Which organisation does the closed office belong to?"),
    ),
    "election": Asking(
        acted="won the election for mayor",
        asked="did {who} win the election for mayor",
        place="Which place has a new mayor?",
        amounts=("By how many votes was the election for mayor won?", "How many votes was the new mayor ahead?"),
        orgs=("Which organisation supported the new mayor?", "For which organisation did {who} run for mayor?"),
    ),
    "tax": Asking(
        acted="raised the property tax",
        asked="did {who} raise the property tax",
        place="Where does the property tax rise?",
        amounts=("By how many percent does the property tax rise?", "How many percent more is the property tax?"),
        orgs=(
            "Which organisation wanted a higher property tax?",
            "For which organisation did {who} raise the property tax?",
        ),
    ),
    "resignation": Asking(
        acted="resigned from the council",
        asked="did {who} resign from the council",
        place="Which place lost a member of its council?",
        amounts=(
            "How many years in office came before the resignation?",
            "After how many years did {who} resign from the council?",
        ),
        orgs=(
            "Which organisation had the council member argued with?",
            "Because of which organisation did {who} resign from the council?",
        ),
    ),
    "final": Asking(
        acted="led the winning team in the cup final",
        asked="did {who} win the cup final",
        place="Where was the cup final played?",
        amounts=(
            "How many points did the captain score in the cup final?",
            "How many points did {who} score in the cup final?",
        ),
        orgs=("Which organisation won the cup final?", "For which organisation did {who} win the cup final?"),
    ),
    "transfer": Asking(
        acted="joined a new club",
        asked="did {who} join a new club",
        place="Where does the striker's new club come from?",
        amounts=("How many million pounds was the striker's fee?", "How many million pounds did the striker cost?"),
        orgs=("Which organisation loses its striker?", "For which organisation did {who} play as a striker before?"),
    ),
    "record": Asking(
        acted="broke a running record",
        asked="did {who} break a running record",
        place="Where was a running record broken?",
        amounts=("By how many seconds was the running record broken?", "How many seconds was the runner faster?"),
        orgs=(
            "Which organisation does the fast runner belong to?",
            "Which organisation does the runner {who} belong to?",
        ),
    ),
    "discovery": Asking(
        acted="discovered a new species",
        asked="did {who} discover a new species",
        place="Where was a new species discovered?",
        amounts=(
            "How many years old are the bones of the new species?",
            "For how many years had the bones of the new species lain there?",
        ),
        orgs=(
            "Which organisation discovered a new species?",
            "For which organisation did {who} search for the new species?",
        ),
    ),
    "telescope": Asking(
        acted="led the work on a new telescope",
        asked="did {who} start a new telescope",
        place="Where is the new telescope?",
        amounts=(
            "How many metres does the telescope's mirror measure?",
            "How many metres wide is the telescope's mirror?",
        ),
        orgs=("Which organisation has a new telescope?", "For which organisation did {who} start a new telescope?"),
    ),
    "vaccine": Asking(
        acted="tested a vaccine",
        asked="did {who} test a vaccine",
        place="Where was a vaccine tested?",
        amounts=(
            "How many percent of people does the vaccine protect?",
            "For how many percent of people did the vaccine work?",
        ),
        orgs=("Which organisation is behind the vaccine?", "For which organisation did {who} test a vaccine?"),
    ),
    "exhibition": Asking(
        acted="made the art in the exhibition",
        asked="was the art of {who} exhibited",
        place="Where was an art exhibition opened?",
        amounts=("How many paintings does the exhibition show?", "How many paintings were lent for the exhibition?"),
        orgs=("Which organisation owns the art in the exhibition?", "Which organisation owns the art of {who}?"),
    ),
    "film": Asking(
        acted="made a new film",
        asked="did {who} present a new film",
        place="Where was a new film presented?",
        amounts=("How many million pounds did the film cost?", "How many million pounds were spent on the film?"),
        orgs=("Which organisation paid for the new film?", "With which organisation did {who} make a new film?"),
    ),
    "festival": Asking(
        acted="started a music festival",
        asked="did {who} start a music festival",
        place="Where did a music festival start?",
        amounts=("How many bands does the festival feature?", "How many bands were at the music festival?"),
        orgs=("Which organisation supported the festival?", "Which organisation did {who} start the festival with?"),
    ),
    "flood": Asking(
        acted="led a flood evacuation",
        asked="did {who} lead a flood evacuation",
        place="Where was there a flood?",
        amounts=("How many homes did the flood affect?", "How many homes were evacuated because of the flood?"),
        orgs=("Which organisation led a flood evacuation?", "For which organisation did {who} lead the evacuation?"),
    ),
    "storm": Asking(
        acted="led the clearing of storm damage",
        asked="did {who} clear storm damage",
        place="Where was there a storm?",
        amounts=("How many roads did the storm block?", "How many roads were closed because of the storm?"),
        orgs=("Which organisation cleared storm damage?", "With which organisation did {who} clear storm damage?"),
    ),
    "drought": Asking(
        acted="banned garden watering",
        asked="did {who} ban garden watering",
        place="Where was garden watering banned?",
        amounts=("How many dry days led to the ban on watering?", "How many days had the drought lasted?"),
        orgs=("Which organisation banned garden watering?", "For which organisation did {who} ban garden watering?"),
    ),
    "robbery": Asking(
        acted="was arrested for robbery",
        asked="was {who} arrested for robbery",
        place="Where was a robber arrested?",
        amounts=("How many coins did the robber have?", "How many coins were recovered after the robbery?"),
        orgs=("Which organisation was robbed?", "Which organisation did {who} rob?"),
    ),
    "fraud": Asking(
        acted="was convicted of fraud",
        asked="was {who} convicted of fraud",
        place="Where was there a verdict of fraud?",
        amounts=("How many million pounds did the fraud cost?", "How many million pounds were lost to fraud?"),
        orgs=("Which organisation lost money to fraud?", "Which organisation did {who} take money from by fraud?"),
    ),
    "rescue": Asking(
        acted="rescued lost hikers",
        asked="did {who} rescue lost hikers",
        place="Where were lost hikers rescued?",
        amounts=("How many hikers were rescued?", "How many hikers had been lost?"),
        orgs=("Which organisation helped to rescue hikers?", "For which organisation did {who} rescue hikers?"),
    ),
    "clinic": Asking(
        acted="heads a new hospital",
        asked="did {who} open a hospital",
        place="Where is the new hospital?",
        amounts=("How many beds does the hospital have?", "For how many patients does the hospital have beds?"),
        orgs=("Which organisation opened a hospital?", "Which organisation made the hospital of {who}?"),
    ),
    "outbreak": Asking(
        acted="warned of a flu outbreak",
        asked="did {who} warn of a flu outbreak",
        place="Where is there a flu outbreak?",
        amounts=("How many cases of flu are there?", "How many people have caught the flu?"),
        orgs=("Which organisation warned of a flu outbreak?", "For which organisation did {who} warn of the flu?"),
    ),
    "strike": Asking(
        acted="led a nurses' strike",
        asked="did {who} lead a nurses' strike",
        place="Where are nurses on strike?",
        amounts=("How many days does the nurses' strike last?", "For how many days do the nurses not work?"),
        orgs=(
            "Which organisation is the nurses' strike against?",
            "Against which organisation did {who} lead a nurses' strike?",
        ),
    ),
}
"""The phrases for each kind of event, by its key."""
