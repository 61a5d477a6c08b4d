//! Words that the first records are made of.

/// Names that go together.
pub(super) struct Culture {
    pub(super) language: &'static str,
    pub(super) given: &'static [&'static str],
    pub(super) family: &'static [&'static str],
}

pub(super) const CULTURES: &[Culture] = &[
    Culture {
        language: "English",
        given: &[
            "Amelia", "Callum", "Freya", "Gareth", "Harriet", "Isla", "Jonah", "Maeve", "Owen",
            "Rhiannon", "Saoirse", "Toby",
        ],
        family: &[
            "Ashworth",
            "Blackwood",
            "Carrick",
            "Dunmore",
            "Fairley",
            "Hollins",
            "Kirkbride",
            "Llewellyn",
            "O'Dowd",
            "Pemberton",
            "Rutherford",
            "Winslow",
        ],
    },
    Culture {
        language: "Spanish",
        given: &[
            "Alba", "Bruno", "Camila", "Diego", "Esteban", "Inés", "Lucía", "Mateo", "Noemí",
            "Rafael", "Sofía", "Tomás",
        ],
        family: &[
            "Aguilar",
            "Benítez",
            "Cárdenas",
            "Escobar",
            "Figueroa",
            "Ibáñez",
            "Maldonado",
            "Núñez",
            "Paredes",
            "Quiroga",
            "Salazar",
            "Villalba",
        ],
    },
    Culture {
        language: "German",
        given: &[
            "Anke", "Björn", "Clara", "Dieter", "Elke", "Florian", "Greta", "Jürgen", "Katja",
            "Lukas", "Mareike", "Sönke",
        ],
        family: &[
            "Brandt",
            "Dörfler",
            "Eichinger",
            "Gruber",
            "Hübner",
            "Kessler",
            "Lindner",
            "Müllenbach",
            "Rademacher",
            "Schäfer",
            "Strauß",
            "Vogt",
        ],
    },
    Culture {
        language: "French",
        given: &[
            "Adèle", "Bastien", "Céline", "Damien", "Élise", "Gaspard", "Hélène", "Léa", "Maxime",
            "Noé", "Solène", "Théo",
        ],
        family: &[
            "Aubert",
            "Besson",
            "Chevalier",
            "Delorme",
            "Fontaine",
            "Garnier",
            "Lefèvre",
            "Marchand",
            "Perrin",
            "Rousselle",
            "Tessier",
            "Vasseur",
        ],
    },
    Culture {
        language: "Polish",
        given: &[
            "Agnieszka",
            "Bartosz",
            "Dorota",
            "Filip",
            "Halina",
            "Jakub",
            "Kinga",
            "Łukasz",
            "Małgorzata",
            "Paweł",
            "Zofia",
            "Wojciech",
        ],
        family: &[
            "Adamska",
            "Borowik",
            "Czarnecka",
            "Dudek",
            "Głowacka",
            "Jabłoń",
            "Kozłowicz",
            "Lis",
            "Pawlak",
            "Sikora",
            "Wróbel",
            "Żak",
        ],
    },
    Culture {
        language: "Turkish",
        given: &[
            "Ayşe", "Burak", "Cemal", "Defne", "Elif", "Kerem", "Leyla", "Murat", "Nazlı", "Onur",
            "Selin", "Yasemin",
        ],
        family: &[
            "Aksoy", "Bozkurt", "Çelik", "Demirci", "Erdoğdu", "Güneş", "Kaplan", "Özkan", "Polat",
            "Sarı", "Tekin", "Yıldız",
        ],
    },
    Culture {
        language: "Arabic",
        given: &[
            "Amal", "Bilal", "Dalia", "Farid", "Hanan", "Karim", "Layla", "Mounir", "Nadia",
            "Omar", "Rania", "Tarek",
        ],
        family: &[
            "Al-Amin", "Barakat", "Darwish", "El-Sayed", "Haddad", "Issa", "Khalil", "Mansour",
            "Nasser", "Rahal", "Sabbagh", "Zaki",
        ],
    },
    Culture {
        language: "Hindi",
        given: &[
            "Aarav", "Bhavna", "Deepak", "Gauri", "Ishaan", "Kavita", "Manoj", "Nisha", "Pranav",
            "Rohini", "Sanjay", "Vidya",
        ],
        family: &[
            "Agarwal", "Bhatt", "Chauhan", "Deshmukh", "Iyer", "Joshi", "Kulkarni", "Mehta",
            "Nair", "Rao", "Sharma", "Trivedi",
        ],
    },
    Culture {
        language: "Japanese",
        given: &[
            "Aiko", "Daichi", "Emi", "Haruto", "Kaori", "Kenji", "Mei", "Naoki", "Ren", "Sakura",
            "Takumi", "Yūna",
        ],
        family: &[
            "Aoki", "Endō", "Fujita", "Hayashi", "Ishii", "Kimura", "Matsuda", "Nakano", "Ōta",
            "Sakamoto", "Tanabe", "Yoshida",
        ],
    },
    Culture {
        language: "Yoruba",
        given: &[
            "Abiola", "Adebayo", "Bolanle", "Damilola", "Folake", "Ife", "Kehinde", "Olumide",
            "Sade", "Taiwo", "Tunde", "Yetunde",
        ],
        family: &[
            "Adeyemi", "Afolabi", "Akande", "Balogun", "Ogunleye", "Okafor", "Oladipo", "Onifade",
            "Oyelaran", "Sowande", "Tella", "Williams",
        ],
    },
    Culture {
        language: "Portuguese",
        given: &[
            "Afonso", "Beatriz", "Caetano", "Débora", "Filipa", "Gonçalo", "Joana", "Luís",
            "Marisa", "Nuno", "Rita", "Vasco",
        ],
        family: &[
            "Abrantes",
            "Barros",
            "Cordeiro",
            "Falcão",
            "Guimarães",
            "Leitão",
            "Magalhães",
            "Nogueira",
            "Pinho",
            "Ramalho",
            "Simões",
            "Vieira",
        ],
    },
    Culture {
        language: "Vietnamese",
        given: &[
            "An", "Bao", "Chi", "Dung", "Hoa", "Khanh", "Lan", "Minh", "Ngoc", "Phuong", "Quang",
            "Thu",
        ],
        family: &[
            "Bui", "Dang", "Dinh", "Do", "Ho", "Huynh", "Le", "Ngo", "Nguyen", "Pham", "Tran", "Vu",
        ],
    },
    Culture {
        language: "Swedish",
        given: &[
            "Åsa", "Elin", "Fredrik", "Gunilla", "Henrik", "Ingrid", "Johan", "Kajsa", "Lars",
            "Maja", "Nils", "Sigrid",
        ],
        family: &[
            "Ahlgren",
            "Björkman",
            "Dahl",
            "Ekström",
            "Forsberg",
            "Hedlund",
            "Lindqvist",
            "Nyström",
            "Öberg",
            "Sandell",
            "Söderlund",
            "Wikström",
        ],
    },
];

pub(super) const USERS: &[&str] = &[
    "Nora Castellan",
    "Idris Fenwick",
    "Yuki Morland",
    "Petra Vance",
    "Samir Holt",
    "Lindiwe Marsh",
    "Anton Reyes",
    "Chloe Bexley",
];

pub(super) const STAGES: &[&str] = &[
    "First talk",
    "Qualified",
    "Proposal sent",
    "Negotiation",
    "Won",
    "Lost",
];

pub(super) const COMPANY_NAMES: &[&str] = &[
    "Alderbrook",
    "Amberfield",
    "Anchor Bay",
    "Aster",
    "Beacon Hill",
    "Birchwater",
    "Bluestone",
    "Bramble",
    "Brightwell",
    "Calder",
    "Canopy",
    "Cedar Row",
    "Cinder",
    "Clearpath",
    "Cobalt",
    "Copperleaf",
    "Cormorant",
    "Dovetail",
    "Driftwood",
    "Eastgate",
    "Ember",
    "Fernhollow",
    "Foxglove",
    "Gannet",
    "Glasswing",
    "Granite",
    "Greenlane",
    "Harbour",
    "Hawthorn",
    "Heron",
    "Highmoor",
    "Ironbridge",
    "Juniper",
    "Kestrel",
    "Kingfisher",
    "Lantern",
    "Larkspur",
    "Lighthouse",
    "Linden",
    "Lodestar",
    "Marram",
    "Meadow",
    "Merlin",
    "Millrace",
    "Northwind",
    "Oakhurst",
    "Orchard",
    "Osprey",
    "Pebble",
    "Quarry",
    "Redwing",
    "Rowan",
    "Saltmarsh",
    "Sandpiper",
    "Silverbirch",
    "Skylark",
    "Stonecrop",
    "Thistle",
    "Tidewater",
    "Willowbank",
];

/// The sector, and how companies in it call themselves.
pub(super) const SECTORS: &[(&str, &str)] = &[
    ("Software", "Software"),
    ("Logistics", "Logistics"),
    ("Food", "Foods"),
    ("Construction", "Builders"),
    ("Health care", "Clinics"),
    ("Education", "Academy"),
    ("Energy", "Energy"),
    ("Finance", "Finance"),
    ("Farming", "Farms"),
    ("Media", "Studios"),
    ("Tourism", "Travel"),
    ("Repair shops", "Repairs"),
];

pub(super) const JOBS: &[&str] = &[
    "Accountant",
    "Buyer",
    "Founder",
    "Head of operations",
    "Head of sales",
    "IT manager",
    "Lawyer",
    "Managing director",
    "Office manager",
    "Product manager",
    "Project lead",
    "Quality engineer",
    "Software developer",
    "Warehouse manager",
];

/// Town, region, country, postal code.
pub(super) const TOWNS: &[(&str, &str, &str, &str)] = &[
    ("Leeds", "West Yorkshire", "United Kingdom", "LS1 1AA"),
    ("Galway", "Connacht", "Ireland", "H91 A000"),
    ("Porto", "Norte", "Portugal", "4000-001"),
    ("Valencia", "Valencia", "Spain", "46001"),
    ("Lyon", "Auvergne-Rhône-Alpes", "France", "69001"),
    ("Kassel", "Hessen", "Germany", "34117"),
    ("Gdańsk", "Pomorskie", "Poland", "80-001"),
    ("Göteborg", "Västra Götaland", "Sweden", "411 01"),
    ("İzmir", "Ege", "Türkiye", "35000"),
    ("Lagos", "Lagos", "Nigeria", "100001"),
    ("Pune", "Maharashtra", "India", "411001"),
    ("Sapporo", "Hokkaidō", "Japan", "060-0000"),
    ("Đà Nẵng", "Nam Trung Bộ", "Vietnam", "50000"),
    ("Curitiba", "Paraná", "Brazil", "80000-000"),
    ("Portland", "Oregon", "United States", "97201"),
    ("Halifax", "Nova Scotia", "Canada", "B3H 0A0"),
];

pub(super) const STREETS: &[&str] = &[
    "Almond Street",
    "Canal Side",
    "Chestnut Avenue",
    "Fountain Square",
    "Garden Row",
    "Lower Mill Road",
    "Museum Street",
    "Old Station Road",
    "Poplar Lane",
    "Quay Street",
    "Spinner's Yard",
    "Upper Market",
];

/// What is sold, and what it is about.
pub(super) const DEALS: &[(&str, &str)] = &[
    (
        "20 seats",
        "A first team wants to work with it from next quarter.",
    ),
    (
        "annual renewal",
        "The contract ends this year; they want to stay.",
    ),
    ("pilot", "Three months with one office, then all of them."),
    (
        "second site",
        "The same again for the site that opened in spring.",
    ),
    (
        "support contract",
        "Answers within four hours, on weekdays.",
    ),
    (
        "training days",
        "Two days for the people who will teach the others.",
    ),
    (
        "move from the old system",
        "Ten years of records have to come along.",
    ),
    ("reporting package", "The board wants numbers every month."),
];

pub(super) const NOTES: &[&str] = &[
    "Prefers to be called in the morning.",
    "Asked for a comparison with what they use now.",
    "Met at the trade fair; very interested in the reports.",
    "The budget is decided in autumn, not before.",
    "Wants everything in writing, with prices without tax.",
    "Moved to another department, still the right person.",
    "Their lawyer is reading the contract.",
    "Happy with the pilot. Ask for a reference later.",
    "Needs an answer on data protection before going on.",
    "Call ended early; ring again next week.",
];

/// What is to be done, and how.
pub(super) const TASKS: &[(&str, &str)] = &[
    ("Send the offer", "With the discount that was agreed."),
    ("Call back", "About the question of the two sites."),
    (
        "Prepare the demo",
        "They want to see reports and permissions.",
    ),
    ("Check the contract", "The clause about notice is new."),
    ("Book a room", "For six people, with a screen."),
    ("Send the invoice", "To the new address."),
    ("Ask for a reference", "One page is enough."),
    ("Plan the training", "Two days, in the same week."),
];
