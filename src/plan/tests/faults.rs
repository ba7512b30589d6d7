//! What goes wrong while a plan is made.

use std::sync::{Arc, mpsc};

use futures::{StreamExt, stream::BoxStream};

use super::{
    ledger::Ledger,
    world::{ByStatus, World, person, schema},
};
use crate::{
    model::{Channel, FieldType, Recipient, Schema, Value},
    plan::{PlanError, gather, select::Selector},
    script::ScriptError,
    source::{Batch, Source, SourceError},
};

fn some_people(n: usize) -> World {
    let person = |n| person(&format!("K{n}"), &format!("p{n}@example.org"), "yes");
    World::new((0..n).map(person).collect())
}

#[tokio::test]
async fn a_source_that_breaks_freezes_nothing() {
    for n in [0, 1, 50] {
        let mut world = some_people(n);
        world.people[0].breaks = true;
        let error = world.plan().await.unwrap_err();
        assert!(matches!(error, PlanError::Source(_)), "{error}");
        assert_eq!(
            error.to_string(),
            "source people: it changed while it was read"
        );
        assert!(world.ledger.frozen.lock().is_empty());
    }
}

#[tokio::test]
async fn a_source_whose_columns_change_freezes_nothing() {
    let mut world = some_people(20);
    let mut other = schema().as_ref().clone();
    other.columns.push(("more".to_owned(), FieldType::String));
    world.people[0].comes_with = Arc::new(Schema {
        columns: vec![
            ("id".to_owned(), FieldType::String),
            ("mail".to_owned(), FieldType::String),
            ("STATUS".to_owned(), FieldType::String),
            ("name".to_owned(), FieldType::String),
        ],
        ..other
    });
    let error = world.plan().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "source people: it changed while it was read: column \"status\" is gone or another"
    );
    assert!(world.ledger.frozen.lock().is_empty());
}

#[tokio::test]
async fn a_layout_needs_its_columns() {
    let world = some_people(0);
    let origin = |schema: Schema| gather::Origin {
        name: "people".parse().unwrap(),
        source: Arc::new(world.people[0].clone()),
        schema: Arc::new(schema),
    };
    let layout = World::layout();
    assert!(gather::check_layout(&layout, &[origin(schema().as_ref().clone())]).is_ok());
    let error = gather::check_layout(&layout, &[origin(Schema::default())]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "source people: column \"mail\", which the messages need, is not there any more"
    );
}

#[tokio::test]
async fn a_row_that_breaks_the_interface_is_an_invalid_row() {
    struct Odd;
    #[async_trait::async_trait]
    impl Source for Odd {
        async fn describe(&self) -> Result<Schema, SourceError> {
            unreachable!("the test gives the columns")
        }
        async fn read(
            &self,
        ) -> Result<BoxStream<'static, Result<Batch, SourceError>>, SourceError> {
            let recipient = |key: &str, values: usize| {
                Ok(Recipient {
                    source: "people".parse().unwrap(),
                    schema: schema(),
                    key: key.to_owned(),
                    values: vec![Value::from("a@b.de"); values],
                })
            };
            let batch = vec![recipient("A1", 3), recipient("", 4), recipient("A2", 4)];
            Ok(futures::stream::iter([Ok(batch)]).boxed())
        }
    }
    let world = some_people(0);
    let plan = world.plan_from(Arc::new(Odd)).await.unwrap();
    assert_eq!(
        world.outcomes(),
        [
            "A1 invalid_row: line 1: the source gave 3 values for 4 columns",
            "A2 -",
            "line 2 invalid_row: line 2: it has no key",
        ]
    );
    assert_eq!(plan.totals.matched, 1);
}

#[tokio::test]
async fn a_store_that_fails_ends_the_plan() {
    let mut world = some_people(20);
    world.ledger = Arc::new(Ledger {
        fails: true,
        ..Ledger::default()
    });
    let error = world.plan().await.unwrap_err();
    assert!(matches!(error, PlanError::Store(_)), "{error}");
}

#[tokio::test]
#[should_panic(expected = "a bug in a script function")]
async fn a_panic_is_never_taken_for_the_end_of_the_audience() {
    struct Panics;
    impl Selector for Panics {
        fn matches(&mut self, recipient: &Recipient) -> Result<bool, ScriptError> {
            assert_ne!(recipient.key, "K19", "a bug in a script function");
            Ok(true)
        }
        fn variables(&mut self, recipient: &Recipient) -> Result<Vec<Value>, ScriptError> {
            ByStatus.variables(recipient)
        }
        fn veto(&mut self, _: &Recipient, _: Channel) -> Result<Option<String>, ScriptError> {
            Ok(None)
        }
    }
    let mut world = some_people(20);
    world.selectors = Arc::new(|| Box::new(Panics));
    let ledger = world.ledger.clone();
    let panicked = tokio::spawn(async move { world.plan().await.map(|_| ()) });
    let panic = panicked.await.unwrap_err().into_panic();
    assert!(ledger.frozen.lock().is_empty(), "a part was taken for all");
    std::panic::resume_unwind(panic);
}

/// Tells when it is dropped: when its thread is over.
struct Tells(mpsc::Sender<()>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

impl Selector for Tells {
    fn matches(&mut self, recipient: &Recipient) -> Result<bool, ScriptError> {
        ByStatus.matches(recipient)
    }
    fn variables(&mut self, recipient: &Recipient) -> Result<Vec<Value>, ScriptError> {
        ByStatus.variables(recipient)
    }
    fn veto(&mut self, _: &Recipient, _: Channel) -> Result<Option<String>, ScriptError> {
        Ok(None)
    }
}

#[tokio::test]
async fn a_plan_that_nobody_waits_for_ends_its_threads() {
    /// Never comes to an end.
    struct Endless;
    #[async_trait::async_trait]
    impl Source for Endless {
        async fn describe(&self) -> Result<Schema, SourceError> {
            unreachable!("the test gives the columns")
        }
        async fn read(
            &self,
        ) -> Result<BoxStream<'static, Result<Batch, SourceError>>, SourceError> {
            Ok(futures::stream::iter([Ok(Vec::new())])
                .chain(futures::stream::pending())
                .boxed())
        }
    }
    let mut world = some_people(0);
    let (tells, told) = mpsc::channel();
    let tells = parking_lot::Mutex::new(tells);
    world.selectors = Arc::new(move || Box::new(Tells(tells.lock().clone())));
    let mut planning = Box::pin(world.plan_from(Arc::new(Endless)));
    assert!(futures::poll!(&mut planning).is_pending());
    drop(planning);
    for _ in 0..world.limits.evaluators {
        told.recv().unwrap();
    }
}
