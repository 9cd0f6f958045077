//! The life of a run, in one pure function: `queued -> running <-> paused -> completed | failed | cancelled`.
//!
//! A paused run holds no process and no memory: its whole state is in its newest checkpoint. Going on, also after a failure
//! or a stop, therefore always means waiting for a turn again.

use lorikeet_registry::RunStatus;

/// What can happen to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A process takes it and works on it.
    Claim,
    /// It is to wait until someone lets it go on.
    Pause,
    /// It is to go on.
    Resume,
    /// Its last step is done.
    Complete,
    /// It cannot go on.
    Fail,
    /// It is not wanted any more.
    Cancel,
    /// The process that worked on it is gone.
    Interrupt,
}

impl Change {
    /// Everything that can happen.
    pub const ALL: [Change; 7] = [
        Change::Claim,
        Change::Pause,
        Change::Resume,
        Change::Complete,
        Change::Fail,
        Change::Cancel,
        Change::Interrupt,
    ];

    /// Where it leads.
    pub const fn target(self) -> RunStatus {
        match self {
            Change::Claim => RunStatus::Running,
            Change::Pause | Change::Interrupt => RunStatus::Paused,
            Change::Resume => RunStatus::Queued,
            Change::Complete => RunStatus::Completed,
            Change::Fail => RunStatus::Failed,
            Change::Cancel => RunStatus::Cancelled,
        }
    }

    /// The states it can begin in.
    pub fn sources(self) -> Vec<RunStatus> {
        RunStatus::ALL.iter().copied().filter(|from| next(*from, self).is_some()).collect()
    }
}

/// Where `change` leads from `from`; `None` where it cannot happen.
pub const fn next(from: RunStatus, change: Change) -> Option<RunStatus> {
    use RunStatus::{Cancelled, Failed, Paused, Queued, Running};
    let possible = matches!(
        (from, change),
        (Queued, Change::Claim | Change::Pause | Change::Cancel)
            | (Running, Change::Pause | Change::Complete | Change::Fail | Change::Cancel | Change::Interrupt)
            | (Paused, Change::Resume | Change::Cancel)
            | (Failed | Cancelled, Change::Resume)
    );
    if possible { Some(change.target()) } else { None }
}

#[cfg(test)]
mod tests {
    use RunStatus::{Cancelled, Completed, Failed, Paused, Queued, Running};

    use super::*;

    #[test]
    fn every_pair_of_state_and_change_is_decided() {
        let leads = |from| Change::ALL.map(|change| next(from, change));
        //                              claim          pause         resume        complete         fail          cancel           interrupt
        assert_eq!(leads(Queued), [Some(Running), Some(Paused), None, None, None, Some(Cancelled), None]);
        assert_eq!(
            leads(Running),
            [None, Some(Paused), None, Some(Completed), Some(Failed), Some(Cancelled), Some(Paused)]
        );
        assert_eq!(leads(Paused), [None, None, Some(Queued), None, None, Some(Cancelled), None]);
        assert_eq!(leads(Completed), [None; 7]);
        assert_eq!(leads(Failed), [None, None, Some(Queued), None, None, None, None]);
        assert_eq!(leads(Cancelled), [None, None, Some(Queued), None, None, None, None]);
    }

    #[test]
    fn a_change_begins_where_it_can_and_ends_in_one_state() {
        for change in Change::ALL {
            let sources = change.sources();
            assert!(!sources.is_empty(), "{change:?} never happens");
            assert!(sources.iter().all(|from| next(*from, change) == Some(change.target())));
            assert!(!sources.contains(&Completed), "{change:?} changes what is completed");
        }
    }

    #[test]
    fn every_state_but_the_first_can_be_reached() {
        for status in RunStatus::ALL {
            assert!(Change::ALL.iter().any(|change| change.target() == *status), "{status} is never reached");
        }
    }
}
