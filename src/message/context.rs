//! What templates see of a recipient: `r`, the variables, and the names every message has.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectExt as _, Value as Jinja};

use super::{EmailFacts, payload::Layout, value::to_jinja};
use crate::model::{Campaign, Sender, Topic, Value};

/// What is the same in all messages of a campaign.
#[derive(Debug)]
pub(super) struct Fixed {
    campaign: Jinja,
    sender: Jinja,
    topic: Jinja,
}

impl Fixed {
    /// `campaign`, `sender` and `topic` as templates see them.
    pub(super) fn new(campaign: &Campaign, sender: &Sender, topic: &Topic) -> Self {
        let map = |parts: [(&str, &str); 2]| Jinja::from_pairs(parts);
        Self {
            campaign: map([("id", campaign.id.as_str()), ("name", &campaign.name)]),
            sender: map([("name", &sender.name), ("address", sender.address.trim())]),
            topic: map([("name", topic.name.as_str()), ("title", &topic.title)]),
        }
    }
}

/// The values of one message for its templates.
pub(super) fn context(fixed: &Arc<Fixed>, facts: &EmailFacts<'_>) -> Jinja {
    let values = Arc::new(Values {
        layout: facts.layout.clone(),
        values: facts.values.iter().map(to_jinja).collect(),
    });
    Jinja::from_object(Context {
        fixed: Arc::clone(fixed),
        row: Jinja::from_object(Row(Arc::clone(&values))),
        values,
        run: Jinja::from_object(Run {
            occurrence: facts.occurrence.as_str().into(),
            now: to_jinja(&Value::DateTime(facts.zone.at(facts.now))),
        }),
        unsubscribe_url: facts.unsubscribe_url.map(Jinja::from),
        view_url: facts.view_url.map(Jinja::from),
        preferences_url: facts.preferences_url.map(Jinja::from),
    })
}

#[derive(Debug)]
struct Values {
    layout: Layout,
    values: Vec<Jinja>,
}

impl Values {
    fn get(&self, matches: impl Fn(&str) -> bool) -> Option<Jinja> {
        let at = self.layout.names().iter().position(|name| matches(name))?;
        self.values.get(at).cloned()
    }
}

#[derive(Debug)]
struct Context {
    fixed: Arc<Fixed>,
    row: Jinja,
    values: Arc<Values>,
    run: Jinja,
    unsubscribe_url: Option<Jinja>,
    view_url: Option<Jinja>,
    preferences_url: Option<Jinja>,
}

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Jinja> {
        Some(match key {
            "r" => self.row.clone(),
            "campaign" => self.fixed.campaign.clone(),
            "sender" => self.fixed.sender.clone(),
            "topic" => self.fixed.topic.clone(),
            "run" => self.run.clone(),
            "unsubscribe_url" => return self.unsubscribe_url.clone(),
            "view_url" => return self.view_url.clone(),
            "preferences_url" => return self.preferences_url.clone(),
            // Fields have a dot in the layout; a name has none.
            variable => return self.values.get(|name| name == variable),
        })
    }
}

/// `r`: the fields by name, without their `r.`.
#[derive(Debug)]
struct Row(Arc<Values>);

impl Object for Row {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Jinja> {
        self.0.get(|name| name.strip_prefix("r.") == Some(key))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_enumerator(|row| {
            let names = row.0.layout.names().iter();
            Box::new(
                names
                    .filter_map(|name| name.strip_prefix("r."))
                    .map(Jinja::from),
            )
        })
    }
}

#[derive(Debug)]
struct Run {
    occurrence: Jinja,
    now: Jinja,
}

impl Object for Run {
    fn get_value(self: &Arc<Self>, key: &Jinja) -> Option<Jinja> {
        match key.as_str()? {
            "occurrence" => Some(self.occurrence.clone()),
            "now" => Some(self.now.clone()),
            _ => None,
        }
    }
}
