//! Ordinary given names: two of them are two names, however alike they are.
//!
//! Marco and Mario are a slip apart, and so are Maria and Marta: a slip of the hand seldom makes
//! one of the other, and twins are called so. What is not in the list is none of these names, or a slip.

use super::names::{Names, parts};

/// The names, as they are compared, in order.
#[rustfmt::skip]
const ORDINARY: &[&str] = &[
    "ada", "adele", "adriana", "adriano", "agata", "agnese", "agostino", "aida", "alba", "alberta", "alberto",
    "aldo", "alessandra", "alessandro", "alessia", "alessio", "alfio", "alfonso", "alfredo", "alice", "alina",
    "alvaro", "amalia", "amanda", "ambra", "amedeo", "amelia", "andrea", "angela", "angelo", "anita", "anna",
    "annalisa", "annamaria", "antonella", "antonello", "antonia", "antonio", "arianna", "armando", "arturo",
    "asia", "aurelia", "aurelio", "aurora", "barbara", "beatrice", "benedetta", "benedetto", "beniamino",
    "benito", "bianca", "brigida", "bruna", "bruno", "camilla", "camillo", "carla", "carlo", "carlotta",
    "carmela", "carmelo", "carmen", "carmine", "carolina", "caterina", "catia", "cecilia", "celeste", "cesare",
    "chiara", "cinzia", "ciro", "clara", "claudia", "claudio", "concetta", "corrado", "cosimo", "cristian",
    "cristiana", "cristiano", "cristina", "daniela", "daniele", "dario", "david", "davide", "debora", "delia",
    "denis", "denise", "diana", "diego", "dina", "dino", "domenica", "domenico", "donatella", "donato", "dora",
    "edda", "edoardo", "elda", "elena", "eleonora", "elia", "eliana", "elio", "elisa", "elisabetta", "elsa",
    "elvira", "emanuela", "emanuele", "emilia", "emiliano", "emilio", "emma", "enrica", "enrico", "enza",
    "enzo", "erica", "erika", "ernesto", "ester", "ettore", "eugenia", "eugenio", "eva", "fabia", "fabiana",
    "fabiano", "fabio", "fabrizia", "fabrizio", "fausta", "fausto", "federica", "federico", "felice",
    "ferdinando", "fernanda", "fernando", "filippo", "filomena", "fiorella", "flavia", "flavio", "flora",
    "franca", "francesca", "francesco", "franco", "gabriele", "gabriella", "gaetana", "gaetano", "gaia",
    "gemma", "gennaro", "giacomo", "giada", "gian", "giancarlo", "gianfranco", "gianluca", "gianni", "gilda",
    "gina", "gino", "gioele", "gioia", "giorgia", "giorgio", "giovanna", "giovanni", "giulia", "giuliana",
    "giuliano", "giulio", "giuseppa", "giuseppe", "giuseppina", "gloria", "grazia", "graziella", "greta",
    "guglielmo", "guido", "ida", "ilaria", "ilario", "ilda", "ines", "irene", "iris", "irma", "italo", "iva",
    "ivan", "ivana", "ivano", "ivo", "jacopo", "katia", "lara", "laura", "lauro", "lea", "leo", "leonardo",
    "leone", "letizia", "lia", "liana", "libero", "lidia", "lina", "lino", "lisa", "livia", "livio", "lorena",
    "lorenza", "lorenzo", "loretta", "loris", "luca", "lucia", "luciana", "luciano", "lucio", "lucrezia",
    "ludovica", "ludovico", "luigi", "luigia", "luigina", "luisa", "mafalda", "manuel", "manuela", "mara",
    "marcella", "marcello", "marco", "margherita", "maria", "mariagrazia", "mariano", "marilena", "marina",
    "marino", "mario", "marisa", "marta", "martina", "martino", "marzia", "massimo", "matilde", "matteo",
    "mattia", "maura", "maurizio", "mauro", "melissa", "mia", "michela", "michele", "milena", "mina", "mirco",
    "mirella", "mirko", "monica", "morena", "moreno", "nadia", "natale", "natalia", "natalina", "nella",
    "nello", "nicola", "nicole", "nicoletta", "nicolo", "nilde", "nina", "nino", "noemi", "nora", "norma",
    "olga", "olimpia", "omar", "ornella", "oscar", "osvaldo", "ottavio", "paola", "paolo", "pasquale",
    "patrizia", "patrizio", "piera", "piero", "pietro", "pina", "pino", "raffaele", "raffaella", "raimondo",
    "remo", "renata", "renato", "riccardo", "rina", "rino", "rita", "roberta", "roberto", "rocco", "romano",
    "romina", "romolo", "rosa", "rosalba", "rosalia", "rosanna", "rosario", "rosella", "rosina", "rossana",
    "rossella", "ruggero", "sabina", "sabrina", "salvatore", "samuel", "samuele", "sandra", "sandro", "santina",
    "santo", "sara", "saverio", "sebastiano", "serena", "sergio", "silvana", "silvano", "silvia", "silvio",
    "simona", "simone", "sofia", "sonia", "stefania", "stefano", "stella", "susanna", "tania", "tatiana",
    "teodoro", "teresa", "tina", "tino", "tiziana", "tiziano", "tommaso", "ugo", "umberto", "valentina",
    "valentino", "valeria", "valerio", "vanessa", "vera", "veronica", "vilma", "vincenza", "vincenzo", "viola",
    "virginia", "vito", "vittoria", "vittorio", "viviana", "walter", "wanda",
];

fn is_ordinary(part: &[u8]) -> bool {
    std::str::from_utf8(part).is_ok_and(|part| ORDINARY.binary_search(&part).is_ok())
}

/// Tells whether two persons have ordinary names that are others: each part of the one is
/// ordinary, as are those of the other, and they have none in common.
pub(super) fn are_others(one: &Names, other: &Names) -> bool {
    let all = |names: &Names| {
        let mut all = names.iter().flat_map(|name| parts(name)).peekable();
        all.peek().is_some() && all.all(is_ordinary)
    };
    let is_shared = one
        .iter()
        .flat_map(|name| parts(name))
        .any(|part| other.iter().flat_map(|name| parts(name)).any(|of_other| of_other == part));
    !is_shared && all(one) && all(other)
}

#[cfg(test)]
mod tests {
    use super::super::names::normalized;
    use super::*;

    #[test]
    fn the_list_is_in_order_and_as_names_are_compared() {
        assert!(ORDINARY.windows(2).all(|two| two.first() < two.last()));
        for name in ORDINARY {
            assert_eq!(normalized(name).as_slice(), name.as_bytes());
        }
    }

    #[test]
    fn names_and_slips() {
        let names = |name: &str| -> Names { [normalized(name)].into_iter().collect() };
        for (one, other, expected) in [
            ("Marco", "Mario", true),
            ("Maria", "Marta", true),
            ("Nicol\u{f2}", "Nicola", true),
            ("Mario", "Mairo", false),
            ("Giuseppe", "Giusepe", false),
            ("Maria", "Maria Teresa", false),
            ("Anna Maria", "Anna Marta", false),
            ("Luca", "", false),
        ] {
            assert_eq!(are_others(&names(one), &names(other)), expected, "{one} {other}");
            assert_eq!(are_others(&names(other), &names(one)), expected, "{other} {one}");
        }
    }
}
