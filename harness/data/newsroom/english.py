"""How the events are told in English: sentence templates with named facts.

Fields: ``who``, ``org``, ``where``, ``when`` and ``amount`` are the event's facts, ``other_...`` its distractors,
``surname`` the agent's last name and ``witness`` the person quoted. ``unit`` and ``noun`` come from the wording itself.
The document and the summary never use the same words for the same event, so copying a sentence is not a summary.
"""

from __future__ import annotations

from dataclasses import dataclass

MONTHS = tuple("January February March April May June July August September October November December".split())


@dataclass(frozen=True, kw_only=True)
class Wording:
    """The sentences for one kind of event."""

    noun: str
    unit: str
    leads: tuple[str, ...]
    amounts: tuple[str, ...]
    did: str
    result: str


WORDINGS = {
    "factory": Wording(
        noun="opening",
        unit="jobs",
        leads=(
            "A new plant run by {org} has started work in {where} after {who} cut the ribbon.",
            "{who} of {org} has cut the ribbon at a new plant in {where}.",
        ),
        amounts=(
            "Once it runs at full speed, it will employ {amount} people.",
            "There is work for {amount} people at the site.",
        ),
        did="opened a factory",
        result="It creates {amount} jobs.",
    ),
    "takeover": Wording(
        noun="deal",
        unit="million pounds",
        leads=(
            "{org}, led by {who}, has taken control of a rival firm based in {where}.",
            "A firm from {where} now belongs to {org}, whose head {who} signed the papers.",
        ),
        amounts=("The price was {amount} million pounds.", "The owners were paid {amount} million pounds."),
        did="bought a rival firm",
        result="The deal cost {amount} million pounds.",
    ),
    "layoff": Wording(
        noun="announcement",
        unit="jobs",
        leads=(
            "{who} told workers of {org} in {where} that their office would shut.",
            "The {where} office of {org} is to shut, its director {who} told the workers.",
        ),
        amounts=("The move leaves {amount} people without work.", "Letters went out to {amount} people."),
        did="closed an office",
        result="It costs {amount} jobs.",
    ),
    "election": Wording(
        noun="vote",
        unit="votes",
        leads=(
            "Voters in {where} have chosen {who}, the candidate of {org}, as their mayor.",
            "{who}, backed by {org}, is the new mayor of {where}.",
        ),
        amounts=(
            "The lead over the next candidate was {amount} votes.",
            "In the end {amount} votes made the difference.",
        ),
        did="won the election for mayor",
        result="The margin was {amount} votes.",
    ),
    "tax": Wording(
        noun="decision",
        unit="percent",
        leads=(
            "House owners in {where} face a higher bill after a plan by {who} of {org} went through.",
            "A plan by {who}, who speaks for {org}, will make owning a house in {where} dearer.",
        ),
        amounts=("Bills go up by {amount} percent.", "Owners will have to pay {amount} percent more."),
        did="raised the property tax",
        result="It rises by {amount} percent.",
    ),
    "resignation": Wording(
        noun="decision",
        unit="years",
        leads=(
            "{who} has stepped down from the council of {where} after a quarrel with {org}.",
            "After a quarrel with {org}, {who} no longer sits on the council of {where}.",
        ),
        amounts=("{surname} had held the seat for {amount} years.", "That ends {amount} years in the seat."),
        did="resigned from the council",
        result="It follows {amount} years in office.",
    ),
    "final": Wording(
        noun="match",
        unit="points",
        leads=(
            "{who} led the team of {org} to the cup in {where}.",
            "The cup goes to {org} after a great match by captain {who} in {where}.",
        ),
        amounts=("{surname} alone scored {amount} points.", "No fewer than {amount} points came from {surname}."),
        did="won the cup final",
        result="The captain scored {amount} points.",
    ),
    "transfer": Wording(
        noun="move",
        unit="million pounds",
        leads=(
            "Striker {who} is leaving {org} for the club from {where}.",
            "The club from {where} has signed striker {who}, until now with {org}.",
        ),
        amounts=("The fee is said to be {amount} million pounds.", "{org} gets {amount} million pounds."),
        did="joined a new club",
        result="The fee was {amount} million pounds.",
    ),
    "record": Wording(
        noun="race",
        unit="seconds",
        leads=(
            "Runner {who}, who trains with {org}, was faster in {where} than anybody before.",
            "Nobody has ever run as fast as {who} of {org} did in {where}.",
        ),
        amounts=(
            "The old mark was beaten by {amount} seconds.",
            "{surname} was {amount} seconds faster than the old mark.",
        ),
        did="broke a running record",
        result="The gain was {amount} seconds.",
    ),
    "discovery": Wording(
        noun="find",
        unit="years",
        leads=(
            "While digging near {where}, {who} of {org} came upon the bones of an unknown animal.",
            "Bones that {who} of {org} dug up near {where} belong to an unknown animal.",
        ),
        amounts=("They are thought to be {amount} years old.", "Tests say that they lay there for {amount} years."),
        did="discovered a new species",
        result="The bones are {amount} years old.",
    ),
    "telescope": Wording(
        noun="start",
        unit="metres",
        leads=(
            "Astronomers of {org} under {who} can now look at the sky through a new instrument in {where}.",
            "A new instrument in {where}, built by {org} under {who}, has seen its first stars.",
        ),
        amounts=("Its mirror is {amount} metres wide.", "The mirror measures {amount} metres from edge to edge."),
        did="started a new telescope",
        result="Its mirror measures {amount} metres.",
    ),
    "vaccine": Wording(
        noun="trial",
        unit="percent",
        leads=(
            "A drug against fever made by {org} has worked well in {where}, says its inventor {who}.",
            "{who} of {org} has tried out a drug against fever on people in {where}.",
        ),
        amounts=(
            "It kept {amount} percent of them healthy.",
            "Of those who took it, {amount} percent did not fall ill.",
        ),
        did="tested a vaccine",
        result="It protects {amount} percent of people.",
    ),
    "exhibition": Wording(
        noun="opening",
        unit="paintings",
        leads=(
            "The museum of {where} shows works by {who}, lent by {org}.",
            "Works by {who} that belong to {org} have gone on view in the museum of {where}.",
        ),
        amounts=("On the walls hang {amount} paintings.", "Visitors can see {amount} paintings."),
        did="opened an art exhibition",
        result="It shows {amount} paintings.",
    ),
    "film": Wording(
        noun="premiere",
        unit="million pounds",
        leads=(
            "Director {who} has brought a new picture by {org} to the cinema in {where}.",
            "In {where} people queued for a new picture by {org}, directed by {who}.",
        ),
        amounts=("Making it took {amount} million pounds.", "{org} had spent {amount} million pounds on it."),
        did="presented a new film",
        result="It cost {amount} million pounds.",
    ),
    "festival": Wording(
        noun="concert",
        unit="bands",
        leads=(
            "{who} has brought music back to the park of {where} with the help of {org}.",
            "With the help of {org}, {who} has filled the park of {where} with music.",
        ),
        amounts=("On the stages {amount} bands played.", "The programme listed {amount} bands."),
        did="started a music festival",
        result="It features {amount} bands.",
    ),
    "flood": Wording(
        noun="flood",
        unit="homes",
        leads=(
            "After the river rose in {where}, {who} of {org} sent people to higher ground.",
            "{who}, who leads {org}, had people in {where} brought to safety from the rising river.",
        ),
        amounts=("Water stood in {amount} homes.", "Families had to leave {amount} homes."),
        did="led a flood evacuation",
        result="It affected {amount} homes.",
    ),
    "storm": Wording(
        noun="storm",
        unit="roads",
        leads=(
            "Wind has knocked down trees in {where}, where {who} and {org} are clearing up.",
            "Helpers of {org} under {who} are removing fallen trees in {where}.",
        ),
        amounts=("Traffic could not pass on {amount} roads.", "Trees lay across {amount} roads."),
        did="cleared storm damage",
        result="It blocked {amount} roads.",
    ),
    "drought": Wording(
        noun="order",
        unit="days",
        leads=(
            "Gardens in {where} must stay dry, {who} of {org} has ordered.",
            "{who}, speaking for {org}, has told people in {where} not to water their gardens.",
        ),
        amounts=("There has been no rain for {amount} days.", "The last rain fell {amount} days before."),
        did="banned garden watering",
        result="It follows {amount} dry days.",
    ),
    "robbery": Wording(
        noun="robbery",
        unit="coins",
        leads=(
            "Police in {where} have caught {who}, who is said to have emptied the safe of {org}.",
            "{who} is said to have emptied the safe of {org} and was caught by police in {where}.",
        ),
        amounts=("In the bag were {amount} old coins.", "Police found {amount} old coins."),
        did="was arrested for robbery",
        result="Police recovered {amount} coins.",
    ),
    "fraud": Wording(
        noun="verdict",
        unit="million pounds",
        leads=(
            "A judge in {where} has found that {who} cheated {org}.",
            "{who} cheated {org} for years, a judge in {where} has found.",
        ),
        amounts=("The damage comes to {amount} million pounds.", "In all {amount} million pounds are missing."),
        did="was convicted of fraud",
        result="The loss is {amount} million pounds.",
    ),
    "rescue": Wording(
        noun="rescue",
        unit="hikers",
        leads=(
            "Lost walkers near {where} are safe thanks to {who}, a volunteer with {org}.",
            "{who}, a volunteer with {org}, has found a group of lost walkers near {where}.",
        ),
        amounts=("The group was {amount} strong.", "All {amount} of them are well."),
        did="rescued lost hikers",
        result="It saved {amount} hikers.",
    ),
    "clinic": Wording(
        noun="opening",
        unit="beds",
        leads=(
            "The sick of {where} have a new place to go, built by {org} and headed by {who}.",
            "Built by {org}, a new place for the sick of {where} is headed by {who}.",
        ),
        amounts=("It has room for {amount} patients.", "Up to {amount} patients can stay there."),
        did="opened a hospital",
        result="It has {amount} beds.",
    ),
    "outbreak": Wording(
        noun="warning",
        unit="cases",
        leads=(
            "Many people in {where} have the flu, and {who} of {org} asks the others to stay at home.",
            "{who} of {org} asks people in {where} to stay at home because of the flu.",
        ),
        amounts=("So far {amount} people have fallen ill.", "Doctors have counted {amount} ill people."),
        did="warned of a flu outbreak",
        result="There are {amount} cases.",
    ),
    "strike": Wording(
        noun="walkout",
        unit="days",
        leads=(
            "Nurses in {where} have laid down their work, called out by {who} against {org}.",
            "{who} has called out the nurses of {where} in a quarrel with {org}.",
        ),
        amounts=("They will be back after {amount} days.", "The wards stay shut for {amount} days."),
        did="led a nurses' strike",
        result="It lasts {amount} days.",
    ),
}
"""The wording of each kind of event, by its key."""

DATES = (
    "The {noun} took place on {when}.",
    "The day of the {noun} was {when}.",
    "On {when} the time for the {noun} had come.",
    "The {noun} had first been set for {other_when}, but in the end it was {when}.",
)

DISTRACTIONS = (
    "A year earlier, the figure for {other_where} had been {other_amount} {unit}.",
    "In {other_where}, {other_who} had spoken of {other_amount} {unit}.",
    "{other_who} of {other_org}, who was in {other_where} that day, would not comment.",
    "{other_org} plans something like it in {other_where} for {other_when}.",
    "{other_who} had asked to wait until {other_when}.",
    "A report on the matter by {other_org} is due on {other_when}.",
)

BACKGROUNDS = (
    "It had been the talk of the town for weeks.",
    "Reporters had waited at the door since the early morning.",
    "Few people had seen it coming.",
    "The mayor's office said that it would look into the matter.",
    "Plans like this one have often failed before.",
    "A local paper was the first to write about it.",
    "More details are expected in the coming days.",
    "Experts do not agree on what will happen next.",
)

REACTIONS = {
    -2: (
        '"This is the worst thing that could have happened to us," said {witness}.',
        "{witness} was furious and called it a disgrace.",
        '"I have never been so angry in my life," {witness} said.',
    ),
    -1: (
        '"I am not happy with it," said {witness}.',
        "{witness} said that it was rather disappointing.",
        '"We had hoped for something better," {witness} said.',
    ),
    0: (
        '"It does not change much for me," said {witness}.',
        "{witness} said that it was too early to judge.",
        '"I have no strong opinion about it," {witness} said.',
    ),
    1: (
        '"It is not bad at all," said {witness}.',
        "{witness} said that it was a step in the right direction.",
        '"I am fairly pleased with it," {witness} said.',
    ),
    2: (
        '"This is the best news in years," said {witness}.',
        "{witness} was overjoyed and called it wonderful.",
        '"I could not be happier," {witness} said.',
    ),
}
"""What the witness says, by mood from -2 (furious) to 2 (delighted)."""

SUMMARY = "{who} {did} in {where} on {when}. {result}"
