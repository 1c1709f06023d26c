//! One half as a document that a person or a program changes: TOML as in a file, or YAML.

use std::str::FromStr;

use serde_json::{Map, Value as Json};
use toml::{Table, Value};

use super::error::CtlError;

/// A file of `peerings.d` with one half.
#[derive(Clone, Debug)]
pub(super) struct Document {
    /// The other keys of the file.
    file: Table,
    /// The keys of the half.
    half: Table,
}

impl Document {
    /// Parses a file with one half.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut file = text.parse::<Table>().map_err(|error| error.to_string())?;
        let mut halves = match file.remove("peering") {
            Some(Value::Array(halves)) => halves,
            Some(_) => return Err("`peering` is not written as [[peering]]".to_owned()),
            None => Vec::new(),
        };
        match (halves.pop(), halves.is_empty()) {
            (Some(Value::Table(half)), true) => Ok(Self { file, half }),
            (None, _) => Err("there is no [[peering]]; `delete` deletes a half".to_owned()),
            (Some(_), _) => Err("there is more than one [[peering]]; edit one half".to_owned()),
        }
    }

    /// The name of the half.
    pub(super) fn name(&self) -> Option<&str> {
        self.half.get("name")?.as_str()
    }

    /// Sets a key; `config.user.x` is the key `user.x` of `config`.
    pub(super) fn set(&mut self, key: &str, value: Value) {
        match key.strip_prefix("config.") {
            Some(key) => {
                let config =
                    self.half.entry("config").or_insert_with(|| Value::Table(Table::new()));
                if let Value::Table(config) = config {
                    config.insert(key.to_owned(), value);
                }
            }
            None => drop(self.half.insert(key.to_owned(), value)),
        }
    }

    /// Removes a key. Returns its value.
    pub(super) fn unset(&mut self, key: &str) -> Option<Value> {
        match key.strip_prefix("config.") {
            Some(key) => self.half.get_mut("config")?.as_table_mut()?.remove(key),
            None => self.half.remove(key),
        }
    }

    /// Gives the half another name, in its routes, too.
    pub(super) fn rename(&mut self, name: &str) {
        self.half.insert("name".to_owned(), name.into());
        let routes = self.file.get_mut("route").and_then(Value::as_array_mut);
        for route in routes.into_iter().flatten().filter_map(Value::as_table_mut) {
            route.insert("peering".to_owned(), name.into());
        }
    }

    /// The file.
    pub(super) fn to_toml(&self) -> String {
        let mut file = self.file.clone();
        let half = Value::Table(self.half.clone());
        file.insert("peering".to_owned(), Value::Array(vec![half]));
        file.to_string()
    }

    /// The keys of the half, and its project and routes, as one mapping.
    pub(super) fn to_json(&self) -> Json {
        let mut all = Map::new();
        for key in ["project", "route"] {
            all.extend(self.file.get(key).map(|value| (key.to_owned(), json(value))));
        }
        all.extend(self.half.iter().map(|(key, value)| (key.clone(), json(value))));
        Json::Object(all)
    }

    /// The same as YAML.
    pub(super) fn to_yaml(&self) -> Result<String, CtlError> {
        yaml_serde::to_string(&self.to_json()).map_err(CtlError::Yaml)
    }

    /// Reads what [`Document::to_yaml`] has written.
    pub(super) fn from_yaml(text: &str) -> Result<Self, String> {
        let keys: Table = yaml_serde::from_str(text).map_err(|error| error.to_string())?;
        let (mut file, mut half) = (Table::new(), Table::new());
        for (key, value) in keys {
            match (key.as_str(), value) {
                ("project" | "route", value) => drop(file.insert(key, value)),
                // YAML has no datetime of its own.
                ("requested", Value::String(text)) => {
                    let instant = toml::value::Datetime::from_str(&text);
                    half.insert(key, instant.map_or(Value::String(text), Value::Datetime));
                }
                (_, value) => drop(half.insert(key, value)),
            }
        }
        Ok(Self { file, half })
    }
}

/// A value as JSON; a datetime is a string there.
pub(super) fn json(value: &Value) -> Json {
    match value {
        Value::String(text) => Json::String(text.clone()),
        Value::Integer(number) => Json::from(*number),
        Value::Float(number) => Json::from(*number),
        Value::Boolean(yes) => Json::Bool(*yes),
        Value::Datetime(at) => Json::String(at.to_string()),
        Value::Array(all) => Json::Array(all.iter().map(json).collect()),
        Value::Table(table) => {
            Json::Object(table.iter().map(|(key, value)| (key.clone(), json(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "project = \"blue\"\n\
        [[peering]]\nname = \"to-db\"\nnetwork = \"web\"\ntarget_project = \"green\"\n\
        target_network = \"db\"\nrequested = 2026-03-01T12:00:00Z\nroutes = \"manual\"\n\
        export = [\"10.1.0.0/24\", { prefix = \"10.0.0.0/8\", le = 24 }]\n\
        config = { \"user.ticket\" = \"NET-42\" }\n\
        [[route]]\nnetwork = \"web\"\npeering = \"to-db\"\ndestination = \"10.2.0.0/24\"\n";

    #[test]
    fn yaml_says_the_same() {
        let document = Document::parse(FILE).unwrap();
        let yaml = document.to_yaml().unwrap();
        assert!(yaml.contains("name: to-db\n"), "{yaml}");
        assert_eq!(Document::from_yaml(&yaml).unwrap().to_toml(), document.to_toml(), "{yaml}");
    }

    #[test]
    fn keys_are_set_and_removed_and_a_new_name_is_one_everywhere() {
        let mut document = Document::parse(FILE).unwrap();
        document.set("config.user.owner", "web".into());
        document.set("description", "d".into());
        assert_eq!(document.unset("config.user.ticket"), Some("NET-42".into()));
        assert_eq!(document.unset("import"), None);
        document.rename("db");
        let config = document.half.get("config");
        assert_eq!(config.unwrap().to_string(), "{ \"user.owner\" = \"web\" }");
        assert_eq!(document.name(), Some("db"));
        assert!(document.to_toml().contains("peering = \"db\""));
    }

    #[test]
    fn a_document_has_one_half() {
        assert!(Document::parse("project = \"blue\"\n").unwrap_err().contains("no [[peering]]"));
        assert!(Document::parse("[[peering]]\n[[peering]]\n").unwrap_err().contains("more than"));
    }
}
