//! Who subscribed to documents is told of them (IHE DSUB).
//!
//! What waits to be told is what changed: versions are stored in an order, and a
//! note beside them says how far it has come. Whom a message does not reach stays
//! behind with a note of his own, and is tried again, later each time, until it
//! reaches him or his subscription ends; the others do not wait for him. So
//! nothing is lost while somebody is away or when the process ends; what was sent
//! just before the process ended may come twice.
//!
//! Spec: ITI TF-2 3.53, WS-BaseNotification 1.3

mod progress;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fhir_model::interaction::Caller;
use fhir_model::outcome::Issue;
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::{TypeId, ty};
use futures_util::StreamExt;
use futures_util::stream;
use ihe_adapters::gateway::Gateway;
use ihe_adapters::gateway::notifications::{Event, Subscribed};
use ihe_adapters::xds::fhir::is_folder;
use jiff::Timestamp;
use tokio::time::Instant as Moment;

use crate::feed::{self, Pause, Waker};
use crate::metrics::{Number, Numbers};
use crate::storage::{Reads, Store, StoredResource};
use progress::Progress;

/// What subscriptions may wait for, and they themselves.
pub const TYPES: &[TypeId] = &[ty::DOCUMENT_REFERENCE, ty::LIST, ty::BASIC, ty::SUBSCRIPTION];
/// How many changes are looked at together.
const AT_ONCE: usize = 200;
/// How many messages are under way at once, each to somebody else.
const MESSAGES_AT_ONCE: usize = 32;
/// It is looked at least so often whether there is something to tell.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After a failure it is tried again after so long, and longer each time.
const RETRY: Pause = Pause { first: Duration::from_secs(1), longest: Duration::from_secs(300) };
/// How far it has come is noted at least so often.
const NOTE_EVERY: Duration = Duration::from_secs(10);
/// The setting in which it is noted.
const PROGRESS: &str = "notifications";

/// How many were told, and how many are behind.
#[derive(Debug, Default)]
pub struct NotificationStatistics {
    subscriptions: AtomicU64,
    sent: AtomicU64,
    failures: AtomicU64,
    behind: AtomicU64,
}

impl Numbers for NotificationStatistics {
    fn numbers(&self) -> Vec<Number> {
        let number = |name, kind, value: &AtomicU64| Number {
            name,
            kind,
            value: value.load(Ordering::Relaxed) as f64,
        };
        vec![
            number("lanterna_subscriptions", "gauge", &self.subscriptions),
            number("lanterna_subscriptions_behind", "gauge", &self.behind),
            number("lanterna_notifications_sent_total", "counter", &self.sent),
            number("lanterna_notification_failures_total", "counter", &self.failures),
        ]
    }
}

/// Tells subscribers.
pub struct Broker {
    /// Knows the subscriptions, and sends messages.
    pub gateway: Gateway,
    /// Has what changed.
    pub store: Arc<Store>,
    /// The base of the addresses that are told.
    pub base: String,
    /// Wakes it: one of [`TYPES`].
    pub waker: Waker,
    /// What it does.
    pub statistics: Arc<NotificationStatistics>,
}

/// A subscription that is looked after.
struct Watched {
    subscribed: Subscribed,
    /// It waits for what is stored after this.
    since: Instant,
    /// Up to where it was told, when it is behind the others, and when it is tried again.
    behind: Option<Behind>,
}

struct Behind {
    told: Instant,
    retry: Moment,
    failures: u32,
}

/// A change, and what it means to subscriptions.
struct Change {
    at: Instant,
    meaning: Meaning,
}

enum Meaning {
    /// Something that may be waited for.
    Events(Vec<Event>),
    /// A subscription was made, changed or ended.
    Subscription(String, Option<Box<Subscribed>>),
}

/// What became of the messages to one subscription.
struct Told {
    id: String,
    sent: u64,
    /// Up to where it was told, and why no further; `None` when all of it was taken.
    failed: Option<(Instant, String)>,
}

impl Broker {
    /// Tells subscribers of what is stored, and will be, for as long as it is let.
    pub async fn keep_telling(self) {
        let caller = Caller::new("notifications", self.base.clone());
        for failures in 1.. {
            if let Err(issue) = self.tell(&caller).await {
                tracing::warn!(why = issue.diagnostics, "subscribers cannot be told; it is tried again");
            }
            tokio::time::sleep(RETRY.after(failures)).await;
        }
    }

    /// As [`Broker::keep_telling`], until the data cannot be read or written.
    async fn tell(&self, caller: &Caller) -> Result<(), Issue> {
        let mut progress = self.progress().await?;
        let mut watched = self.watched(caller, &progress).await?;
        let mut noted = Moment::now();
        loop {
            let is_new = self.look(caller, &mut progress, &mut watched).await?;
            let has_failed = self.retry(caller, &mut progress, &mut watched).await?;
            self.end_those_that_are_over(caller, &mut watched).await?;
            let count = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
            let behind = watched.values().filter(|w| w.behind.is_some()).count();
            self.statistics.subscriptions.store(count(watched.len()), Ordering::Relaxed);
            self.statistics.behind.store(count(behind), Ordering::Relaxed);
            if progress.has_changed() && (has_failed || noted.elapsed() > NOTE_EVERY || progress.is_urgent())
            {
                self.note(&mut progress).await?;
                noted = Moment::now();
            }
            if is_new {
                continue;
            }
            let retries = watched.values().filter_map(|w| Some(w.behind.as_ref()?.retry));
            let next = retries.chain([Moment::now() + LOOK_EVERY]).min().unwrap_or_else(Moment::now);
            self.waker.wait_until(next).await;
        }
    }

    /// Returns how far it has come; on data of before, all that is there is not told.
    async fn progress(&self) -> Result<Progress, Issue> {
        self.store
            .write(|unit| {
                if let Some(progress) = unit.setting(PROGRESS)?.as_deref().and_then(Progress::parse) {
                    return Ok(progress);
                }
                let progress = Progress::from(feed::newest(unit)?);
                unit.set(PROGRESS, &progress.to_text())?;
                Ok(progress)
            })
            .await
    }

    async fn note(&self, progress: &mut Progress) -> Result<(), Issue> {
        let text = progress.to_text();
        self.store.write(move |unit| Ok(unit.set(PROGRESS, &text)?)).await?;
        progress.noted();
        Ok(())
    }

    /// Returns the subscriptions in use. One that was made after what was told so far is found
    /// on the way there, too, and waits for nothing before.
    async fn watched(&self, caller: &Caller, progress: &Progress) -> Result<HashMap<String, Watched>, Issue> {
        let subscribed = self.gateway.subscriptions(caller).await?;
        let watched = subscribed.into_iter().map(|subscribed| {
            let told = progress.behind.get(&subscribed.id).copied();
            let now = Moment::now();
            let behind = told.map(|told| Behind { told, retry: now, failures: 0 });
            (subscribed.id.clone(), Watched { subscribed, since: Instant(0), behind })
        });
        Ok(watched.collect())
    }

    /// Looks at what comes next, and tells those who are not behind; says whether there was something.
    async fn look(
        &self,
        caller: &Caller,
        progress: &mut Progress,
        watched: &mut HashMap<String, Watched>,
    ) -> Result<bool, Issue> {
        if watched.is_empty()
            && let Some(newest) = self.newest_without_subscriptions(progress.told).await?
        {
            // Nobody waits for what is there, and it need not be looked at.
            if newest > progress.told {
                progress.tell_to(newest, false);
            }
            return Ok(false);
        }
        let changes = self.changes(caller, progress.told, None).await?;
        let Some(last) = changes.last().map(|change| change.at) else { return Ok(false) };
        for change in &changes {
            if let Meaning::Subscription(id, subscribed) = &change.meaning {
                follow(watched, id, subscribed.as_deref(), change.at, progress);
            }
        }
        let work = watched.values().filter(|w| w.behind.is_none()).map(|w| (w, progress.told));
        let told = self.send(caller, work.collect(), &changes).await;
        progress.tell_to(last, told.iter().any(|told| told.sent > 0));
        for told in told {
            self.settle(caller, told, progress, watched).await;
        }
        Ok(true)
    }

    /// Tells those who are behind and may be tried again what the others were told; says whether
    /// somebody was tried.
    async fn retry(
        &self,
        caller: &Caller,
        progress: &mut Progress,
        watched: &mut HashMap<String, Watched>,
    ) -> Result<bool, Issue> {
        let now = Moment::now();
        let due = watched.values().filter(|w| w.behind.as_ref().is_some_and(|b| b.retry <= now));
        let due: Vec<String> = due.map(|w| w.subscribed.id.clone()).collect();
        for id in &due {
            let Some(watching) = watched.get(id) else { continue };
            let Some(told) = watching.behind.as_ref().map(|behind| behind.told) else { continue };
            let changes = self.changes(caller, told, Some(progress.told)).await?;
            let outcome = self.send(caller, vec![(watching, told)], &changes).await;
            let end = changes.last().map_or(progress.told, |change| change.at);
            let mut failed = false;
            for told in outcome {
                failed |= told.failed.is_some();
                self.settle(caller, told, progress, watched).await;
            }
            if failed {
                continue;
            }
            let Some(watching) = watched.get_mut(id) else { continue };
            if changes.len() < AT_ONCE {
                // It has come as far as the others.
                watching.behind = None;
                progress.caught_up(id);
                if let Err(issue) = self.gateway.note_reached(caller, id, None).await {
                    tracing::warn!(why = issue.diagnostics, "a subscription cannot be told to reach again");
                }
            } else if let Some(behind) = &mut watching.behind {
                behind.told = end;
                progress.behind(id, end);
            }
        }
        Ok(!due.is_empty())
    }

    /// Notes what became of the messages to a subscription.
    async fn settle(
        &self,
        caller: &Caller,
        told: Told,
        progress: &mut Progress,
        watched: &mut HashMap<String, Watched>,
    ) {
        self.statistics.sent.fetch_add(told.sent, Ordering::Relaxed);
        let Some((at, why)) = told.failed else { return };
        self.statistics.failures.fetch_add(1, Ordering::Relaxed);
        let Some(watching) = watched.get_mut(&told.id) else { return };
        let is_first = watching.behind.is_none();
        let failures = watching.behind.as_ref().map_or(0, |b| b.failures).saturating_add(1);
        let pause = RETRY.jittered(failures);
        watching.behind = Some(Behind { told: at, retry: Moment::now() + pause, failures });
        progress.behind(&told.id, at);
        let (subscription, seconds) = (&told.id, pause.as_secs());
        tracing::warn!(subscription, why, seconds, "a notification is not taken; it is tried again");
        if is_first && let Err(issue) = self.gateway.note_reached(caller, &told.id, Some(&why)).await {
            tracing::warn!(why = issue.diagnostics, "a subscription cannot be told not to reach");
        }
    }

    /// Sends what some subscriptions wait for, each in its order, all at once.
    async fn send(&self, caller: &Caller, work: Vec<(&Watched, Instant)>, changes: &[Change]) -> Vec<Told> {
        let sending = work.into_iter().map(|(watching, told)| async move {
            let mut done = Told { id: watching.subscribed.id.clone(), sent: 0, failed: None };
            let mut told = told;
            for change in changes.iter().filter(|change| change.at > watching.since) {
                let Meaning::Events(events) = &change.meaning else { continue };
                for event in events.iter().filter(|event| watching.subscribed.waits_for(event)) {
                    match self.gateway.notify(caller, &watching.subscribed, event).await {
                        Ok(()) => done.sent += 1,
                        Err(why) => {
                            done.failed = Some((told, why));
                            return done;
                        }
                    }
                }
                told = change.at;
            }
            done
        });
        let all = stream::iter(sending).buffer_unordered(MESSAGES_AT_ONCE).collect::<Vec<Told>>().await;
        all.into_iter().filter(|told| told.sent > 0 || told.failed.is_some()).collect()
    }

    /// Ends the subscriptions whose time is over.
    async fn end_those_that_are_over(
        &self,
        caller: &Caller,
        watched: &mut HashMap<String, Watched>,
    ) -> Result<(), Issue> {
        let now = Timestamp::now();
        let over = watched.values().filter(|w| w.subscribed.subscription.has_ended(now));
        for id in over.map(|w| w.subscribed.id.clone()).collect::<Vec<String>>() {
            // That it ended is a change, which is followed as every other.
            self.gateway.note_over(caller, &id).await?;
            watched.remove(&id);
        }
        Ok(())
    }

    /// Returns the instant of what was stored last; `None` when somebody subscribed after another.
    async fn newest_without_subscriptions(&self, after: Instant) -> Result<Option<Instant>, Issue> {
        feed::reading(&self.store, move |store| {
            store.reader()?.snapshot(|reader| {
                let is_new = !reader.changes(&[ty::SUBSCRIPTION], after, 1)?.is_empty();
                if is_new { Ok(None) } else { feed::newest(reader).map(|newest| Some(newest.max(after))) }
            })
        })
        .await
    }

    /// Returns what changed after an instant, up to another.
    async fn changes(
        &self,
        caller: &Caller,
        after: Instant,
        until: Option<Instant>,
    ) -> Result<Vec<Change>, Issue> {
        let stored = feed::changes(&self.store, TYPES, after, AT_ONCE).await?;
        let mut changes = Vec::with_capacity(stored.len());
        for stored in stored.into_iter().filter(|s| until.is_none_or(|until| s.updated <= until)) {
            let at = stored.updated;
            changes.push(Change { at, meaning: self.meaning(caller, &stored).await? });
        }
        Ok(changes)
    }

    /// Tells what a change means. What cannot be read any more is nothing that could be told.
    async fn meaning(&self, caller: &Caller, stored: &StoredResource) -> Result<Meaning, Issue> {
        let of = stored.key.resource_type;
        let resource = if stored.deleted { None } else { stored.resource().ok() };
        if of == ty::SUBSCRIPTION {
            let subscribed = resource.as_ref().and_then(Subscribed::of);
            return Ok(Meaning::Subscription(stored.key.id.as_str().to_owned(), subscribed.map(Box::new)));
        }
        // A document is registered once; a folder is changed by what is added to it.
        match resource.filter(|resource| {
            stored.version.0 == 1 || (of == ty::LIST && is_folder(resource.root()) == Some(true))
        }) {
            Some(resource) => Ok(Meaning::Events(self.gateway.events(caller, resource).await?)),
            None => Ok(Meaning::Events(Vec::new())),
        }
    }
}

/// Follows a change of a subscription.
fn follow(
    watched: &mut HashMap<String, Watched>,
    id: &str,
    subscribed: Option<&Subscribed>,
    at: Instant,
    progress: &mut Progress,
) {
    match (subscribed, watched.get_mut(id)) {
        (Some(subscribed), Some(watching)) => watching.subscribed = subscribed.clone(),
        (Some(subscribed), None) => {
            let watching = Watched { subscribed: subscribed.clone(), since: at, behind: None };
            watched.insert(id.to_owned(), watching);
        }
        (None, _) => {
            watched.remove(id);
            progress.caught_up(id);
        }
    }
}
