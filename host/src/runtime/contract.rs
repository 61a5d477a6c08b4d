//! What a component has in the place of the contract: the first difference, for its author.

use wit_parser::{
    Function, Interface, Resolve, Type, TypeDefKind, WorldId, WorldItem, WorldKey,
    decoding::{DecodedWasm, decode},
};

const PACKAGE: &str = "package jackfield:connector@0.1.0;";
/// The files of `wit/`: one package.
const FILES: [&str; 7] = [
    include_str!("../../../wit/types.wit"),
    include_str!("../../../wit/http.wit"),
    include_str!("../../../wit/host.wit"),
    include_str!("../../../wit/connector.wit"),
    include_str!("../../../wit/webhooks.wit"),
    include_str!("../../../wit/discovery.wit"),
    include_str!("../../../wit/choices.wit"),
];

/// A component or package with its types.
type Side<'a> = (&'a Resolve, Type);

/// The first difference between a component and the contract: which interface, function and type,
/// what is expected there and what the component has. None where none is found.
#[must_use]
pub fn first_difference(component: &[u8]) -> Option<String> {
    match decode(component) {
        Ok(DecodedWasm::Component(theirs, world)) => difference(&theirs, world),
        _ => None,
    }
}

/// All files as one.
fn text() -> String {
    let texts = FILES.map(|text| text.replacen(PACKAGE, "", 1));
    format!("{PACKAGE}\n{}", texts.concat())
}

fn difference(theirs: &Resolve, world: WorldId) -> Option<String> {
    let mut ours = Resolve::default();
    let package = ours.push_source("wit", &text()).ok()?;
    let expected = |name: &str| {
        let id = *ours.packages.get(package)?.interfaces.get(name)?;
        ours.interfaces.get(id)
    };
    let world = theirs.worlds.get(world)?;
    for (key, item) in &world.imports {
        let Some((full, name, interface)) = named(theirs, key, item) else {
            continue;
        };
        let Some(contract) = expected(&name) else {
            return Some(format!(
                "it imports {full}, which the contract does not have"
            ));
        };
        for (function, has) in &interface.functions {
            let Some(wants) = contract.functions.get(function) else {
                return Some(format!(
                    "it imports the function {function} of {full}, which the contract does not have"
                ));
            };
            let place = format!("the imported function {full} {function}");
            if let Some(difference) = functions(&place, (&ours, wants), (theirs, has)) {
                return Some(difference);
            }
        }
    }
    for (key, item) in &world.exports {
        let Some((full, name, interface)) = named(theirs, key, item) else {
            continue;
        };
        // What is exported beside the contract is nobody's business.
        let Some(contract) = expected(&name) else {
            continue;
        };
        for (function, wants) in &contract.functions {
            let Some(has) = interface.functions.get(function) else {
                let signature = signature(&ours, wants);
                return Some(format!(
                    "{full} lacks the function {function}; the contract has {signature}"
                ));
            };
            let place = format!("the exported function {full} {function}");
            if let Some(difference) = functions(&place, (&ours, wants), (theirs, has)) {
                return Some(difference);
            }
        }
    }
    None
}

/// An interface of our package: its full name, its own, and what is in it.
fn named<'a>(
    resolve: &'a Resolve,
    key: &WorldKey,
    item: &WorldItem,
) -> Option<(String, String, &'a Interface)> {
    let (WorldKey::Interface(_), WorldItem::Interface { id, .. }) = (key, item) else {
        return None;
    };
    let full = resolve.name_world_key(key);
    let name = full.strip_prefix("jackfield:connector/")?;
    let name = name
        .split_once('@')
        .map_or(name, |(name, _)| name)
        .to_owned();
    Some((full, name, resolve.interfaces.get(*id)?))
}

fn functions(
    place: &str,
    (ours, wants): (&Resolve, &Function),
    (theirs, has): (&Resolve, &Function),
) -> Option<String> {
    if wants.params.len() != has.params.len() {
        return Some(format!(
            "{place} has {} parameters, and the contract {}: {}",
            has.params.len(),
            wants.params.len(),
            signature(ours, wants)
        ));
    }
    for (wanted, found) in wants.params.iter().zip(&has.params) {
        let place = format!("{place}, parameter {}", wanted.name);
        if let Some(difference) = types(&place, (ours, wanted.ty), (theirs, found.ty)) {
            return Some(difference);
        }
    }
    let place = format!("{place}, result");
    match (wants.result, has.result) {
        (None, None) => None,
        (Some(wanted), Some(found)) => types(&place, (ours, wanted), (theirs, found)),
        (wanted, found) => Some(expected(
            &place,
            &optional(ours, wanted),
            &optional(theirs, found),
        )),
    }
}

fn types(place: &str, wanted: Side<'_>, found: Side<'_>) -> Option<String> {
    let (wanted, found) = (plain(wanted), plain(found));
    let differ = || Some(expected(place, &written(wanted), &written(found)));
    let (Type::Id(one), Type::Id(other)) = (wanted.1, found.1) else {
        return if wanted.1 == found.1 { None } else { differ() };
    };
    let (one, other) = (wanted.0.types.get(one)?, found.0.types.get(other)?);
    let inner =
        |place: String, one: Type, other: Type| types(&place, (wanted.0, one), (found.0, other));
    let name = one.name.as_deref().unwrap_or("type");
    match (&one.kind, &other.kind) {
        (TypeDefKind::Record(one), TypeDefKind::Record(other)) => {
            let mut others = other.fields.iter();
            for field in &one.fields {
                let place = format!("{place}: record {name}, field {}", field.name);
                match others.next() {
                    Some(other) if other.name == field.name => {
                        if let Some(difference) = inner(place, field.ty, other.ty) {
                            return Some(difference);
                        }
                    }
                    other => {
                        let has = other.map_or("nothing", |other| other.name.as_str());
                        return Some(expected(&place, &field.name, has));
                    }
                }
            }
            others.next().map(|more| {
                format!(
                    "{place}: record {name} has a field {} that the contract does not have",
                    more.name
                )
            })
        }
        (TypeDefKind::Variant(one), TypeDefKind::Variant(other)) => {
            let mut others = other.cases.iter();
            for case in &one.cases {
                let place = format!("{place}: variant {name}, case {}", case.name);
                match others.next() {
                    Some(other) if other.name == case.name => {
                        let difference = match (case.ty, other.ty) {
                            (None, None) => None,
                            (Some(one), Some(other)) => inner(place, one, other),
                            (one, other) => Some(expected(
                                &place,
                                &optional(wanted.0, one),
                                &optional(found.0, other),
                            )),
                        };
                        if difference.is_some() {
                            return difference;
                        }
                    }
                    other => {
                        let has = other.map_or("nothing", |other| other.name.as_str());
                        return Some(expected(&place, &case.name, has));
                    }
                }
            }
            others.next().map(|more| {
                format!(
                    "{place}: variant {name} has a case {} that the contract does not have",
                    more.name
                )
            })
        }
        (TypeDefKind::Enum(one), TypeDefKind::Enum(other)) => {
            let names = |one: &wit_parser::Enum| {
                let cases = one.cases.iter().map(|case| case.name.clone());
                cases.collect::<Vec<_>>().join(", ")
            };
            let (wants, has) = (names(one), names(other));
            (wants != has).then(|| expected(&format!("{place}: enum {name}"), &wants, &has))
        }
        (TypeDefKind::Tuple(one), TypeDefKind::Tuple(other))
            if one.types.len() == other.types.len() =>
        {
            let mut pairs = one.types.iter().zip(&other.types);
            pairs.find_map(|(one, other)| inner(place.to_owned(), *one, *other))
        }
        (TypeDefKind::Option(one), TypeDefKind::Option(other))
        | (TypeDefKind::List(one), TypeDefKind::List(other)) => {
            inner(place.to_owned(), *one, *other)
        }
        (TypeDefKind::Result(one), TypeDefKind::Result(other)) => {
            let sides = [("ok", one.ok, other.ok), ("error", one.err, other.err)];
            sides.into_iter().find_map(|(side, one, other)| {
                let place = format!("{place}, {side}");
                match (one, other) {
                    (None, None) => None,
                    (Some(one), Some(other)) => inner(place, one, other),
                    (one, other) => Some(expected(
                        &place,
                        &optional(wanted.0, one),
                        &optional(found.0, other),
                    )),
                }
            })
        }
        _ => differ(),
    }
}

fn expected(place: &str, wanted: &str, found: &str) -> String {
    format!("{place}: the contract has {wanted}, the component {found}")
}

/// Without the names that only stand for another.
fn plain((resolve, mut one): Side<'_>) -> Side<'_> {
    while let Type::Id(id) = one
        && let Some(TypeDefKind::Type(other)) = resolve.types.get(id).map(|known| &known.kind)
    {
        one = *other;
    }
    (resolve, one)
}

fn optional(resolve: &Resolve, one: Option<Type>) -> String {
    one.map_or_else(|| "nothing".to_owned(), |one| written((resolve, one)))
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let parameters = function.params.iter();
    let parameters = parameters
        .map(|one| format!("{}: {}", one.name, written((resolve, one.ty))))
        .collect::<Vec<_>>()
        .join(", ");
    let result = function
        .result
        .map(|one| format!(" -> {}", written((resolve, one))))
        .unwrap_or_default();
    format!("{}: func({parameters}){result}", function.name)
}

/// As WIT writes it.
fn written((resolve, one): Side<'_>) -> String {
    let inner = |one: Type| written((resolve, one));
    let name = match one {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::S8 => "s8",
        Type::S16 => "s16",
        Type::S32 => "s32",
        Type::S64 => "s64",
        Type::F32 => "f32",
        Type::F64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::ErrorContext => "error-context",
        Type::Id(id) => {
            let Some(known) = resolve.types.get(id) else {
                return "nothing".to_owned();
            };
            if let Some(name) = &known.name {
                return name.clone();
            }
            return match &known.kind {
                TypeDefKind::Option(one) => format!("option<{}>", inner(*one)),
                TypeDefKind::List(one) => format!("list<{}>", inner(*one)),
                TypeDefKind::Tuple(tuple) => {
                    let types: Vec<String> = tuple.types.iter().map(|one| inner(*one)).collect();
                    format!("tuple<{}>", types.join(", "))
                }
                TypeDefKind::Result(result) => {
                    let side = |one: Option<Type>| one.map_or_else(|| "_".to_owned(), inner);
                    format!("result<{}, {}>", side(result.ok), side(result.err))
                }
                TypeDefKind::Type(one) => inner(*one),
                other => other.as_str().to_owned(),
            };
        }
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a component of our package would have with one text of it replaced.
    fn changed(from: &str, to: &str) -> Option<String> {
        let text = text();
        assert!(text.contains(from), "{from}");
        let mut resolve = Resolve::default();
        let changed = text.replacen(from, to, 1);
        let package = resolve.push_source("wit", &changed).unwrap();
        let world = resolve.select_world(&[package], Some("connector-plugin"));
        difference(&resolve, world.unwrap())
    }

    #[test]
    fn the_first_difference_names_place_type_and_both_sides() {
        assert_eq!(changed("package", "package"), None);
        for (from, to, told) in [
            (
                "    limit: u32,",
                "    limit: u64,",
                "fetch-records, parameter request: record fetch-request, field limit: the contract has u32, the component u64",
            ),
            (
                "    next-cursor: option<string>,",
                "",
                "field next-cursor: the contract has next-cursor, the component total",
            ),
            (
                "unify: func(object: object-kind, records: json, fields: list<field-mapping>)",
                "unify: func(object: object-kind, records: json)",
                "unify has 2 parameters, and the contract 3: unify: func(object: object-kind, records: json, fields: list<field-mapping>)",
            ),
            (
                "  authenticate: func(connection: connection) -> result<list<account>, failure>;",
                "",
                "lacks the function authenticate; the contract has authenticate: func(connection: connection) -> result<list<account>, failure>",
            ),
            (
                "    conflict(string),",
                "    conflict,",
                "variant failure, case conflict: the contract has string, the component nothing",
            ),
        ] {
            let difference = changed(from, to).unwrap_or_default();
            assert!(difference.contains(told), "{difference}");
        }
    }
}
