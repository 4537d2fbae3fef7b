"""How the summaries of the events are told in German: one template a kind, with the facts of the English one.

Fields: ``who``, ``where``, ``when`` and ``amount``, as in `harness.data.newsroom.english`. Each kind says in German
what its ``did`` and ``result`` say in English, so the two summaries of an event are translations of each other.
"""

from __future__ import annotations

MONTHS = tuple("Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split())

SUMMARIES = {
    "factory": "{who} eröffnete am {when} in {where} eine Fabrik. Sie schafft {amount} Arbeitsplätze.",
    "takeover": (
        "{who} kaufte am {when} in {where} eine Konkurrenzfirma. Das Geschäft kostete {amount} Millionen Pfund."
    ),
    "layoff": "{who} schloss am {when} in {where} ein Büro. Das kostet {amount} Arbeitsplätze.",
    "election": "{who} gewann am {when} in {where} die Bürgermeisterwahl. Der Vorsprung betrug {amount} Stimmen.",
    "tax": "{who} erhöhte am {when} in {where} die Grundsteuer. Sie steigt um {amount} Prozent.",
    "resignation": (
        "{who} trat am {when} in {where} aus dem Stadtrat zurück. Dem gingen {amount} Jahre im Amt voraus."
    ),
    "final": "{who} gewann am {when} in {where} das Pokalfinale. Der Kapitän erzielte {amount} Punkte.",
    "transfer": (
        "{who} wechselte am {when} in {where} zu einem neuen Verein. Die Ablöse betrug {amount} Millionen Pfund."
    ),
    "record": "{who} brach am {when} in {where} einen Laufrekord. Die Verbesserung betrug {amount} Sekunden.",
    "discovery": "{who} entdeckte am {when} in {where} eine neue Art. Die Knochen sind {amount} Jahre alt.",
    "telescope": ("{who} nahm am {when} in {where} ein neues Teleskop in Betrieb. Sein Spiegel misst {amount} Meter."),
    "vaccine": "{who} testete am {when} in {where} einen Impfstoff. Er schützt {amount} Prozent der Menschen.",
    "exhibition": "{who} eröffnete am {when} in {where} eine Kunstausstellung. Sie zeigt {amount} Gemälde.",
    "film": "{who} stellte am {when} in {where} einen neuen Film vor. Er kostete {amount} Millionen Pfund.",
    "festival": "{who} startete am {when} in {where} ein Musikfestival. Dort treten {amount} Bands auf.",
    "flood": (
        "{who} leitete am {when} in {where} eine Evakuierung wegen Hochwassers. Davon waren {amount} Häuser betroffen."
    ),
    "storm": "{who} beseitigte am {when} in {where} Sturmschäden. Es waren {amount} Straßen versperrt.",
    "drought": (
        "{who} verbot am {when} in {where} die Bewässerung der Gärten. Dem gingen {amount} trockene Tage voraus."
    ),
    "robbery": ("{who} wurde am {when} in {where} wegen Raubes verhaftet. Die Polizei stellte {amount} Münzen sicher."),
    "fraud": "{who} wurde am {when} in {where} wegen Betrugs verurteilt. Der Schaden beträgt {amount} Millionen Pfund.",
    "rescue": "{who} rettete am {when} in {where} verirrte Wanderer. Gerettet wurden {amount} Wanderer.",
    "clinic": "{who} eröffnete am {when} in {where} ein Krankenhaus. Es hat {amount} Betten.",
    "outbreak": "{who} warnte am {when} in {where} vor einer Grippewelle. Es gibt {amount} Fälle.",
    "strike": "{who} führte am {when} in {where} einen Streik der Pflegekräfte an. Er dauert {amount} Tage.",
}
"""The summary of each kind of event, by its key."""
