"""The names that events are made of: invented, and many, so that a model has to copy them rather than learn them."""

from __future__ import annotations

FIRST_NAMES = tuple(
    "Ada Alan Alma Amir Anna Arlo Asha Ben Bruno Carla Cleo Dana Dev Diego Edith Elias Elsa Emil Esme Ewan Farah Felix "
    "Fiona Frank Gita Glen Hana Hugo Ines Iris Ivan Jade Jonas Juno Kamal Karin Kira Lars Leila Lena Luca Mara Marco "
    "Mei Milo Mina Nadia Nils Noor Nora Omar Oscar Otto Petra Priya Quinn Rafael Rosa Ruth Sami Sara Selma Simon Sofia "
    "Stella Tariq Tess Theo Tilda Tomas Uma Vera Viktor Wanda Yara Yusuf Zara Zeno".split()
)

SURNAME_STARTS = tuple(
    "Ald Ban Bar Bel Bor Bran Cal Car Cor Dal Dan Dor Dun Ed El Fal Far Fen Fin Gar Gil Gran Hal Har Hol Jar Kel Ken "
    "Kin Lan Lar Lor Mal Mar Mor Nor Or Pal Pen Quil Ran Ros Sal Sel Tal Tor Ul Val Ver Wal Wes Win".split()
)
SURNAME_ENDS = tuple(
    "berg beck by cott dale den der don eau ell er ford gan gate ham ic ini ins ison ka ley lin man mont nes ova ow "
    "rell rick ros sen son stein ston tari vik ward well wick wood".split()
)

PLACE_STARTS = tuple(
    "Ash Beck Birch Black Bright Brook Castle Cliff Cold Crow Deer East Elm Fair Fern Glen Gold Grey Hart Hazel High "
    "Iron King Lake Lime Long Marsh Mill Moor New North Oak Old Pine Port Raven Red Rock Salt Silver South Stone Swan "
    "Thorn West White Wild Wolf".split()
)
PLACE_ENDS = tuple(
    "bank borough bourne bridge burgh bury combe cross field ford gate haven hill holm land leigh mere minster moor "
    "mouth pool port stead ton vale view ville water wick worth".split()
)

ORG_NAMES = tuple(
    "Acorn Alder Amber Anchor Apex Argo Aster Atlas Aurora Beacon Bluebell Boreal Cedar Cobalt Comet Compass Coral "
    "Crescent Delta Ember Falcon Fjord Granite Harbour Helix Heron Horizon Indigo Juniper Kestrel Lantern Lotus Lynx "
    "Magnet Maple Meridian Mosaic Nimbus Nova Onyx Orchid Osprey Otter Pebble Phoenix Pinnacle Polar Prism Quartz "
    "Quill Ridge Saffron Sierra Summit Tandem Thistle Topaz Vertex Willow Zenith".split()
)
ORG_KINDS = tuple(
    "Alliance Associates Board Centre Collective Council Foundation Group Guild Institute League Network Partners "
    "Society Trust Union".split()
)
