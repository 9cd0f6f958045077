//! Which way dependencies point: the manifests, as `cargo metadata` reads them, against the table of rooms, and the table
//! against the drawing in ARCHITECTURE.md.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;
use super::rooms::{ASYNCHRONOUS, HOMES, ROOMS, Room, TESTS};

/// A package of the workspace with what its manifest names.
#[derive(Debug, Clone)]
pub struct Package {
    name: String,
    dependencies: Vec<Dependency>,
    default_features: Vec<String>,
}

#[derive(Debug, Clone)]
struct Dependency {
    name: String,
    is_for_tests: bool,
    is_optional: bool,
}

/// The packages of `cargo metadata`.
///
/// # Errors
/// JSON of another shape.
pub fn packages(metadata: &Value) -> Result<Vec<Package>> {
    let packages = metadata["packages"].as_array().context("`cargo metadata` lists no packages")?;
    packages.iter().map(package).collect()
}

fn package(value: &Value) -> Result<Package> {
    let name = value["name"].as_str().context("a package has no name")?;
    let dependencies = value["dependencies"].as_array().context("a package lists no dependencies")?;
    let dependencies = dependencies.iter().map(|dependency| {
        Ok(Dependency {
            name: dependency["name"].as_str().context("a dependency has no name")?.to_owned(),
            is_for_tests: dependency["kind"] == "dev",
            is_optional: dependency["optional"] == true,
        })
    });
    let default = value["features"]["default"].as_array().cloned().unwrap_or_default();
    Ok(Package {
        name: room_name(name).to_owned(),
        dependencies: dependencies.collect::<Result<_>>()?,
        default_features: default.iter().filter_map(|feature| feature.as_str().map(str::to_owned)).collect(),
    })
}

fn room_name(package: &str) -> &str {
    package.strip_prefix("lorikeet-").unwrap_or(package)
}

/// Every edge that is not in the table, and every edge of the table that is not there.
#[must_use]
pub fn find(packages: &[Package]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = packages.iter().flat_map(edges_of).collect();
    for room in ROOMS {
        if !packages.iter().any(|package| package.name == room.name) {
            findings
                .push(Finding::new("xtask/src/tidy/rooms.rs", format!("the table lists no crate: `{}`", room.name)));
        }
    }
    findings.extend(packages.iter().filter(|package| package.name == "desktop").flat_map(desktop_stays_optional));
    findings
}

fn edges_of(package: &Package) -> Vec<Finding> {
    let place = format!("package {}", package.name);
    if TESTS.contains(&package.name.as_str()) {
        return Vec::new();
    }
    let Some(room) = ROOMS.iter().find(|room| room.name == package.name) else {
        let mend = "a further crate needs a paragraph in ARCHITECTURE.md and a line in xtask/src/tidy/rooms.rs";
        return vec![Finding::new(place, mend)];
    };
    let mut findings = Vec::new();
    for dependency in &package.dependencies {
        if let Some(text) = objection(room, dependency) {
            findings.push(Finding::new(place.clone(), text));
        }
    }
    for used in room.uses {
        if !package.dependencies.iter().any(|dependency| !dependency.is_for_tests && is_room(dependency, used)) {
            findings
                .push(Finding::new(place.clone(), format!("the table has an edge that the manifest lacks: `{used}`")));
        }
    }
    findings
}

fn is_room(dependency: &Dependency, room: &str) -> bool {
    dependency.name.strip_prefix("lorikeet-") == Some(room)
}

fn objection(room: &Room, dependency: &Dependency) -> Option<String> {
    if let Some(used) = dependency.name.strip_prefix("lorikeet-") {
        let may = if dependency.is_for_tests { below(room.name) } else { room.uses.iter().copied().collect() };
        return (!may.contains(used)).then(|| format!("may not depend on the crate: `{used}`"));
    }
    if dependency.is_for_tests {
        return None;
    }
    let home = HOMES.iter().find(|(begin, _)| is_kin(&dependency.name, begin));
    if let Some((_, homes)) = home {
        let only = homes.join("`, `");
        return (!homes.contains(&room.name))
            .then(|| format!("only `{only}` may know the library: `{}`", dependency.name));
    }
    let is_asynchronous = ASYNCHRONOUS.iter().any(|begin| is_kin(&dependency.name, begin));
    is_asynchronous.then(|| format!("may not bring asynchronous code: `{}`", dependency.name))
}

fn is_kin(name: &str, begin: &str) -> bool {
    name.strip_prefix(begin).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Every room that can be reached from this one.
fn below(name: &str) -> BTreeSet<&'static str> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![name];
    while let Some(name) = waiting.pop() {
        for used in ROOMS.iter().filter(|room| room.name == name).flat_map(|room| room.uses) {
            if reached.insert(*used) {
                waiting.push(used);
            }
        }
    }
    reached
}

/// Plain `cargo build` needs no webview: every dependency of the shell is optional and nothing is switched on unasked.
fn desktop_stays_optional(package: &Package) -> Vec<Finding> {
    let place = "package desktop";
    let needed = package.dependencies.iter().filter(|dependency| !dependency.is_optional && !dependency.is_for_tests);
    let needed = needed.map(|dependency| {
        Finding::new(place, format!("must be optional, so that a plain build needs no webview: `{}`", dependency.name))
    });
    let default = package.default_features.iter();
    let default = default.map(|feature| Finding::new(place, format!("no feature may be on unasked: `{feature}`")));
    needed.chain(default).collect()
}

/// Compares the table with the fenced blocks ```` ```edges ```` and ```` ```homes ```` of ARCHITECTURE.md.
#[must_use]
pub fn compare_drawing(text: &str) -> Vec<Finding> {
    let edges: BTreeSet<String> =
        ROOMS.iter().flat_map(|room| room.uses.iter().map(|used| format!("{} -> {used}", room.name))).collect();
    let homes: BTreeSet<String> =
        HOMES.iter().flat_map(|(begin, homes)| homes.iter().map(move |home| format!("{home} -> {begin}"))).collect();
    let mut findings = differences("edges", &edges, &drawn(text, "edges"));
    findings.extend(differences("homes", &homes, &drawn(text, "homes")));
    findings
}

fn differences(block: &str, table: &BTreeSet<String>, drawing: &BTreeSet<String>) -> Vec<Finding> {
    let missing = table.difference(drawing).map(|edge| format!("the block `{block}` lacks: `{edge}`"));
    let extra = drawing.difference(table).map(|edge| format!("the block `{block}` has what the table lacks: `{edge}`"));
    missing.chain(extra).map(|text| Finding::new("ARCHITECTURE.md", text)).collect()
}

/// The lines `a -> b, c` of the fenced block with this word after the fence, one edge each.
fn drawn(text: &str, block: &str) -> BTreeSet<String> {
    let fence = format!("```{block}");
    let lines = text.lines().skip_while(|line| line.trim() != fence).skip(1).take_while(|line| line.trim() != "```");
    let arrows = lines.filter_map(|line| line.split_once("->"));
    arrows.flat_map(|(from, to)| to.split(',').map(move |to| format!("{} -> {}", from.trim(), to.trim()))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::texts;
    use super::*;

    fn package_with(name: &str, dependencies: &Value) -> Package {
        package(&json!({"name": name, "dependencies": dependencies, "features": {}})).unwrap()
    }

    fn dependency(name: &str, kind: Option<&str>) -> Value {
        json!({"name": name, "kind": kind, "optional": false})
    }

    #[test]
    fn an_edge_that_is_not_in_the_table_is_found() {
        let train = package_with(
            "lorikeet-train",
            &json!([
                dependency("lorikeet-kernels", None),
                dependency("lorikeet-models", None),
                dependency("lorikeet-data", None),
                dependency("lorikeet-generate", None),
                dependency("lorikeet-registry", None),
                dependency("serde", None),
                dependency("tokio", None),
                dependency("futures-util", None),
                dependency("candle-nn", None),
            ]),
        );
        assert_eq!(
            texts(&edges_of(&train)),
            [
                "package train: may not depend on the crate: `registry`",
                "package train: only `server`, `desktop` may know the library: `tokio`",
                "package train: may not bring asynchronous code: `futures-util`",
                "package train: only `kernels` may know the library: `candle-nn`",
            ]
        );
    }

    #[test]
    fn an_edge_of_the_table_that_is_not_there_is_found() {
        let server = package_with("lorikeet-server", &json!([dependency("axum", None)]));
        assert_eq!(texts(&edges_of(&server)), ["package server: the table has an edge that the manifest lacks: `api`"]);
    }

    #[test]
    fn tests_may_look_down_but_not_up() {
        let dependencies = json!([
            dependency("lorikeet-models", None),
            dependency("lorikeet-kernels", Some("dev")),
            dependency("tokenizers", Some("dev")),
            dependency("lorikeet-train", Some("dev")),
        ]);
        let findings = edges_of(&package_with("lorikeet-generate", &dependencies));
        assert_eq!(texts(&findings), ["package generate: may not depend on the crate: `train`"]);
    }

    #[test]
    fn a_crate_without_a_line_is_found() {
        let findings = edges_of(&package_with("lorikeet-cloud", &json!([])));
        assert!(findings[0].text.contains("a further crate needs a paragraph"));
        assert!(texts(&find(&[])).iter().any(|text| text.ends_with("the table lists no crate: `kernels`")));
    }

    #[test]
    fn the_webview_stays_optional() {
        let value = json!({
            "name": "lorikeet-desktop",
            "dependencies": [{"name": "tauri", "kind": null, "optional": false}],
            "features": {"default": ["desktop"]},
        });
        let findings = desktop_stays_optional(&package(&value).unwrap());
        assert_eq!(findings.len(), 2, "{findings:?}");
    }

    #[test]
    fn the_table_points_downward_only() {
        for (place, room) in ROOMS.iter().enumerate() {
            for used in room.uses {
                assert!(ROOMS[..place].iter().any(|above| above.name == *used), "{} -> {used}", room.name);
            }
        }
    }

    #[test]
    fn a_drawing_that_differs_is_found() {
        let drawing = "```edges\nmodels -> kernels\nkernels -> models\n```\n";
        let findings = texts(&compare_drawing(drawing));
        assert!(findings.contains(&"ARCHITECTURE.md: the block `edges` lacks: `server -> api`".to_owned()));
        assert!(
            findings.contains(
                &"ARCHITECTURE.md: the block `edges` has what the table lacks: `kernels -> models`".to_owned()
            )
        );
        assert!(findings.contains(&"ARCHITECTURE.md: the block `homes` lacks: `registry -> rusqlite`".to_owned()));
    }
}
