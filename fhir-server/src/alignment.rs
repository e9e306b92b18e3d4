//! Aligns the patients of this server with a national registry: at night, and
//! when an operator asks for it.
//!
//! Who was changed here since the last time is asked for, in the order of the changes, and how
//! far it has come is noted: one that is stopped goes on where it was. What changed there comes
//! as variations, which are numbered.

pub mod settings;

use std::sync::Arc;
use std::time::Duration;

use fhir_model::outcome::Issue;
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::ty;
use futures_util::{StreamExt, stream};
use ihe_adapters::italy::ana::Ana;
use ihe_adapters::italy::ana::registry::{AlignError, Aligned};
use jiff::ZonedDateTime;
use jiff::civil::Time;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior};

use crate::feed::{self, Pause};
use crate::storage::Store;

/// The setting that says how far the alignment has come.
const PROGRESS: &str = "ana_alignment";
/// The setting that says which variation was taken in last.
const VARIATION: &str = "ana_variation";
/// How many patients are aligned between two notes of how far it has come.
const AT_ONCE: usize = 50;
/// How many questions are under way at once.
const QUESTIONS_AT_ONCE: usize = 4;
/// When the registry is away.
const RETRY: Pause = Pause { first: Duration::from_secs(10), longest: Duration::from_secs(900) };

/// What came of an alignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// Patients who were asked for.
    pub asked: u64,
    /// Who differed, and is as the registry says now.
    pub updated: u64,
    /// Whom the registry does not know.
    pub unknown: u64,
    /// Who has no identifier by which it can be asked.
    pub unidentified: u64,
    /// Who may be somebody else there: an operator has to look.
    pub doubtful: u64,
}

impl Report {
    fn count(&mut self, aligned: &Aligned) {
        self.asked += u64::from(!matches!(aligned, Aligned::Gone | Aligned::Unidentified));
        match aligned {
            Aligned::Gone | Aligned::Same => {}
            Aligned::Updated(_) => self.updated += 1,
            Aligned::Unknown(_) => self.unknown += 1,
            Aligned::Unidentified => self.unidentified += 1,
            Aligned::Doubtful(_) => self.doubtful += 1,
        }
    }
}

/// Is told what comes of an alignment.
pub trait Watch {
    /// Somebody was aligned.
    fn aligned(&self, id: &str, aligned: &Aligned);

    /// It has come so far: which part of the time in which something changed.
    fn progress(&self, part: f64);
}

/// Watches nothing.
impl Watch for () {
    fn aligned(&self, _: &str, _: &Aligned) {}

    fn progress(&self, _: f64) {}
}

/// Which patients are aligned, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scope {
    /// All, and not only those that changed since the last time.
    pub is_all: bool,
    /// Nothing is written or noted.
    pub is_dry: bool,
}

/// Aligns patients.
pub struct Alignment {
    /// Has the changes, and the notes.
    pub store: Arc<Store>,
    /// The registry.
    pub ana: Arc<Ana>,
    /// How many questions are asked in a second at most.
    pub questions_per_second: u32,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    /// Where the run that is not over yet began.
    from: Instant,
    /// Up to here patients are aligned.
    at: Instant,
    /// Up to here this run goes; `None` when it is over.
    until: Option<Instant>,
}

impl Progress {
    fn parse(text: &str) -> Option<Progress> {
        let value: Value = serde_json::from_str(text).ok()?;
        let instant = |name: &str| value[name].as_i64().map(Instant);
        Some(Progress { from: instant("from")?, at: instant("at")?, until: instant("until") })
    }

    fn to_text(self) -> String {
        json!({ "from": self.from.0, "at": self.at.0, "until": self.until.map(|until| until.0) }).to_string()
    }

    fn part(self) -> f64 {
        let Some(until) = self.until else { return 1.0 };
        let of = |instant: Instant| (instant.0 - self.from.0) as f64;
        if until <= self.from { 1.0 } else { (of(self.at) / of(until)).clamp(0.0, 1.0) }
    }
}

impl Alignment {
    /// Aligns who changed since the last time; `report` tells how far it came, also when it is
    /// stopped by an error.
    ///
    /// # Errors
    /// When the registry gives no answer, or the data fail.
    pub async fn align(
        &self,
        scope: Scope,
        watch: &dyn Watch,
        report: &mut Report,
    ) -> Result<(), AlignError> {
        let mut progress = self.begin(scope).await?;
        let pace = Mutex::new(self.pace());
        let until = progress.until.unwrap_or(progress.at);
        loop {
            watch.progress(progress.part());
            let changes = feed::changes(&self.store, &[ty::PATIENT], progress.at, AT_ONCE).await?;
            let changes: Vec<_> = changes.into_iter().filter(|change| change.updated <= until).collect();
            let Some(last) = changes.last().map(|change| change.updated) else { break };
            let mut current = Vec::new();
            for change in changes.into_iter().filter(|change| !change.deleted) {
                // What was changed again is looked at when that comes.
                let now = self.store.read_current(&change.key).map_err(Issue::from)?;
                if now.is_some_and(|now| now.version == change.version) {
                    current.push(change.key.id);
                }
            }
            let asking = current.iter().map(|id| async {
                pace.lock().await.tick().await;
                (id.as_str(), self.ana.align(id.as_str(), !scope.is_dry).await)
            });
            let mut answers = stream::iter(asking).buffer_unordered(QUESTIONS_AT_ONCE);
            let mut failed = None;
            while let Some((id, aligned)) = answers.next().await {
                match aligned {
                    Ok(aligned) => {
                        report.count(&aligned);
                        watch.aligned(id, &aligned);
                    }
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            if let Some(error) = failed {
                return Err(error);
            }
            progress.at = last;
            self.note(scope, progress).await?;
        }
        progress = Progress { from: until, at: until, until: None };
        watch.progress(progress.part());
        Ok(self.note(scope, progress).await?)
    }

    /// Takes in what changed in the registry; returns how much.
    ///
    /// # Errors
    /// When the registry gives no answer, or the data fail.
    pub async fn take_variations(&self) -> Result<usize, AlignError> {
        let read = |unit: &mut crate::storage::WriteUnit<'_>| Ok(unit.setting(VARIATION)?);
        let mut last = self.store.write(read).await?.and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut taken = 0;
        loop {
            let (number, count, is_more) = self.ana.take_variations(last).await?;
            taken += count;
            if number > last {
                last = number;
                self.store.write(move |unit| Ok(unit.set(VARIATION, &number.to_string())?)).await?;
            }
            if !is_more {
                return Ok(taken);
            }
        }
    }

    /// Takes in what changed in the registry, every so often, for as long as it is let.
    pub async fn keep_taking_variations(self: Arc<Self>, every: Duration) {
        let mut failures = 0;
        loop {
            match self.take_variations().await {
                Ok(taken) => {
                    failures = 0;
                    if taken > 0 {
                        tracing::info!(taken, "variations of ANA were taken in");
                    }
                    tokio::time::sleep(every).await;
                }
                Err(why) => {
                    failures += 1;
                    tracing::warn!(%why, "variations of ANA cannot be had; it is tried again");
                    tokio::time::sleep(RETRY.jittered(failures)).await;
                }
            }
        }
    }

    /// Aligns every night at a time of the day, for as long as it is let.
    pub async fn keep_aligning(self: Arc<Self>, at: Time) {
        loop {
            let now = ZonedDateTime::now();
            tokio::time::sleep(until_next(&now, at)).await;
            for failures in 1.. {
                let mut report = Report::default();
                let aligned = self.align(Scope::default(), &(), &mut report).await;
                let Report { asked, updated, unknown, doubtful, .. } = report;
                match aligned {
                    Ok(()) => {
                        tracing::info!(asked, updated, unknown, doubtful, "patients are aligned with ANA");
                        break;
                    }
                    Err(why) => {
                        tracing::warn!(%why, asked, updated, "the alignment with ANA stopped; it goes on later");
                        tokio::time::sleep(RETRY.jittered(failures)).await;
                    }
                }
            }
        }
    }

    fn pace(&self) -> Interval {
        let every = Duration::from_secs(1) / self.questions_per_second.max(1);
        let mut pace = tokio::time::interval(every);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pace
    }

    /// Goes on with a run that was stopped, or begins one.
    async fn begin(&self, scope: Scope) -> Result<Progress, Issue> {
        let begin = move |unit: &mut crate::storage::WriteUnit<'_>| {
            let noted = unit.setting(PROGRESS)?.as_deref().and_then(Progress::parse);
            if let Some(noted) = noted.filter(|noted| noted.until.is_some() && !scope.is_all) {
                return Ok(noted);
            }
            let from = noted.filter(|_| !scope.is_all).map_or(Instant(0), |noted| noted.at);
            Ok(Progress { from, at: from, until: Some(feed::newest(unit)?) })
        };
        let progress = self.store.write(begin).await?;
        self.note(scope, progress).await?;
        Ok(progress)
    }

    async fn note(&self, scope: Scope, progress: Progress) -> Result<(), Issue> {
        if scope.is_dry {
            return Ok(());
        }
        self.store.write(move |unit| Ok(unit.set(PROGRESS, &progress.to_text())?)).await
    }
}

/// Returns how long it is until the next time of the day.
fn until_next(now: &ZonedDateTime, at: Time) -> Duration {
    let today = now.date().to_datetime(at);
    let tomorrow = now.date().tomorrow().map(|date| date.to_datetime(at));
    let next = [Ok(today), tomorrow].into_iter().flatten();
    let next =
        next.filter_map(|at| at.to_zoned_datetime(now.time_zone().clone()).ok()).find(|next| next > now);
    let span = next.map(|next| next.timestamp().as_second() - now.timestamp().as_second());
    Duration::from_secs(span.and_then(|span| u64::try_from(span).ok()).unwrap_or(86_400).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_night_comes_once_a_day() {
        let at: Time = "02:30".parse().expect("a time");
        for (now, hours) in [
            ("2026-11-27T01:30:00+01:00[Europe/Rome]", 1.0),
            ("2026-11-27T02:30:00+01:00[Europe/Rome]", 24.0),
            ("2026-11-27T14:30:00+01:00[Europe/Rome]", 12.0),
            // The clock is put back in this night.
            ("2026-10-25T01:30:00+02:00[Europe/Rome]", 1.0),
            ("2026-10-24T14:30:00+02:00[Europe/Rome]", 12.0),
        ] {
            let now: ZonedDateTime = now.parse().expect("a time");
            assert_eq!(until_next(&now, at).as_secs_f64() / 3600.0, hours, "{now}");
        }
    }

    #[test]
    fn a_note_says_how_far_it_has_come() {
        for (progress, part) in [
            (Progress { from: Instant(0), at: Instant(5), until: Some(Instant(10)) }, 0.5),
            (Progress { from: Instant(10), at: Instant(10), until: Some(Instant(10)) }, 1.0),
            (Progress { from: Instant(3), at: Instant(3), until: None }, 1.0),
        ] {
            assert_eq!(Progress::parse(&progress.to_text()), Some(progress));
            assert_eq!(progress.part(), part);
        }
        assert_eq!(Progress::parse("{}"), None);
    }
}
