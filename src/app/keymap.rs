//! The one table of keys: the hint line, the help and every handler read it.
//!
//! An [`Action`] belongs to a [`Context`]; a key is looked up in the context that has the focus and
//! then among the global ones, so a chord may mean one thing per context. Settings replace the
//! chords of an action; what does not fit is reported, all at once, before the console opens.

pub mod key;

mod conflicts;

use crate::app::keymap::key::{KeyChord, KeyCode};
use crate::model::error::{Code, Failure};
use std::collections::BTreeMap;

/// Where a key is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyContext {
    /// Everywhere but in a text.
    Global,
    /// Lists of runs.
    List,
    /// The resume picker.
    Picker,
    /// A run's screen.
    Run,
    /// The events pane.
    Log,
    /// The artifact pane.
    Artifact,
    /// The transcript pane.
    Transcript,
    /// Whatever is read: events, an artifact, a transcript, the texts of a gate.
    Reading,
    /// A gate.
    Gate,
    /// A screen that only shows something.
    Look,
    /// The form of a new run.
    Form,
    /// A text being written.
    Text,
}

impl KeyContext {
    /// Every context, in the order of the help.
    pub const ALL: &[Self] = &[
        Self::Global,
        Self::List,
        Self::Picker,
        Self::Run,
        Self::Reading,
        Self::Log,
        Self::Artifact,
        Self::Transcript,
        Self::Gate,
        Self::Look,
        Self::Form,
        Self::Text,
    ];

    /// What the help calls it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Global => "Everywhere",
            Self::List => "Runs",
            Self::Picker => "Resume",
            Self::Run => "A run",
            Self::Log => "Events",
            Self::Artifact => "Artifact",
            Self::Transcript => "Transcript",
            Self::Reading => "In events, artifacts, transcripts and gates",
            Self::Gate => "Gate",
            Self::Look => "Cost, doctor, settings",
            Self::Form => "A new run",
            Self::Text => "Writing a text",
        }
    }
}

macro_rules! actions {
    ($($variant:ident $name:literal $context:ident [$($chord:literal),+] $label:literal $hint:literal;)*) => {
        /// What a key can do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "each has its sentence in the table")]
        pub enum Action { $($variant,)* }

        const TABLE: &[KeyBinding] = &[$(KeyBinding {
            action: Action::$variant, name: $name, context: KeyContext::$context, chords: &[$($chord),+], label: $label, hint: $hint,
        },)*];
    };
}

/// One line of the table. `hint` is the word in the hint line; empty: not shown there.
struct KeyBinding {
    action: Action,
    name: &'static str,
    context: KeyContext,
    chords: &'static [&'static str],
    label: &'static str,
    hint: &'static str,
}

actions! {
    Up "up" Global ["k", "Up"] "one up" "";
    Down "down" Global ["j", "Down"] "one down" "";
    PageUp "page_up" Global ["PgUp", "Ctrl-U"] "a page up" "";
    PageDown "page_down" Global ["PgDn", "Ctrl-D"] "a page down" "";
    Top "top" Global ["g", "Home"] "to the beginning" "";
    Bottom "bottom" Global ["G", "End"] "to the end" "";
    Open "open" Global ["Enter"] "open, go in" "open";
    Back "back" Global ["Esc"] "one step back" "back";
    NextGate "next_gate" Global ["!"] "to the next question, of any run" "next gate";
    Copy "copy" Global ["y"] "copy what is shown" "";
    Palette "palette" Global [":", "Ctrl-P"] "find a command" "commands";
    Help "help" Global ["?", "F1"] "keys" "keys";
    Quit "quit" Global ["q"] "leave" "quit";
    TakeOver "take_over" Global ["H"] "be the host, when the one that was is gone (asks)" "take over";
    ShowRuns "runs_screen" Global ["F2"] "the list of runs" "";
    ShowPicker "resume_screen" Global ["F3"] "what stopped before its end, to resume it" "";
    ShowCost "cost_screen" Global ["F4", "$"] "what everything cost, over time" "";
    ShowDoctor "doctor_screen" Global ["F5"] "doctor: terminal, data, keys, programs" "";
    Warnings "warnings" Global ["W"] "read what was found wrong at the start, and put it away" "";
    ShowSettings "settings_screen" Global ["F6"] "settings in force, and where each comes from" "";

    NewRun "new_run" List ["n"] "start a new run" "new run";
    Demo "demo" List ["D"] "start the demo: no key, no network, no cost" "demo";
    Filter "filter" List ["/"] "find runs by anything about them" "find";
    Unfold "unfold" List ["Right"] "open what is folded" "";
    FoldUp "fold" List ["Left"] "fold it again" "";
    ListPause "pause_selected" List ["p"] "pause the selected run" "";
    ListResume "resume_selected" List ["r"] "go on with the selected run; one that has ended, again" "";
    ListAbort "abort_selected" List ["x"] "end the selected run (asks)" "";

    PickMark "mark" Picker ["Space"] "mark several" "mark";
    PickPreview "preview" Picker ["Tab"] "show more of the selected one" "preview";
    PickLook "look" Picker ["v"] "look inside, change nothing" "look";
    PickPrevUnsure "previous_unsure" Picker ["["] "the unsure call before" "";
    PickNextUnsure "next_unsure" Picker ["]"] "the unsure call after" "";
    PickRedo "redo_call" Picker ["R"] "the unsure call runs again" "";
    PickDone "call_done" Picker ["D"] "the unsure call was done: the agent is told so" "";
    PickSkip "skip_call" Picker ["S"] "the unsure call is left out: the agent is told so" "";
    PickAbort "picker_abort" Picker ["x"] "end the run (asks)" "abort";

    NextPane "next_pane" Run ["Tab"] "next pane" "pane";
    PrevPane "previous_pane" Run ["Shift-Tab"] "previous pane" "";
    Pane1 "pane_1" Run ["1"] "phases" "";
    Pane2 "pane_2" Run ["2"] "artifact" "";
    Pane3 "pane_3" Run ["3"] "cost" "";
    Pane4 "pane_4" Run ["4"] "events" "";
    Pane5 "pane_5" Run ["5"] "transcript" "";
    Zoom "zoom" Run ["z"] "one pane on the whole screen" "";
    Grow "grow" Run ["+", "="] "make the pane larger" "";
    Shrink "shrink" Run ["-"] "make the pane smaller" "";
    Bars "bars" Run ["t"] "phases as bars over time, or as figures" "";
    Pause "pause" Run ["p"] "pause the run at its next checkpoint" "pause";
    Resume "resume" Run ["r"] "go on with a paused run; one that has ended, again" "resume";
    Permits "standing_answers" Run ["P"] "answers about tools that stand in this run" "";
    Abort "abort" Run ["x"] "end the run (asks)" "abort";

    StepBack "step_back" Run [","] "the past: one event back" "";
    StepOn "step_on" Run ["."] "the past: one event on" "";
    TurnBack "turn_back" Run ["<"] "the past: to the phase or question before" "";
    TurnOn "turn_on" Run [">"] "the past: to the phase or question after" "";
    Now "now" Run ["End"] "from the past to now; else to the end" "now";

    Find "find" Reading ["/"] "find as you type; in texts a capital letter counts as one" "find";
    NextHit "next_hit" Reading ["n"] "next hit" "";
    PrevHit "previous_hit" Reading ["N"] "hit before" "";

    Follow "follow" Log ["f"] "follow the end" "follow";
    FilterEvents "filter_events" Log ["&"] "show only events with words, type:phase. or phase:plan" "filter";
    WrapEvents "wrap_events" Log ["w"] "long events on several lines" "";

    PrevVersion "previous_version" Artifact ["["] "the version before" "";
    NextVersion "next_version" Artifact ["]"] "the version after" "versions";
    PrevSide "previous_side" Artifact ["Left", "h"] "what is shown of it: the tab before" "";
    NextSide "next_side" Artifact ["Right", "l"] "what is shown of it: the tab after" "tabs";
    ArtifactPager "artifact_pager" Artifact ["o"] "read it in the pager ($PAGER)" "pager";
    ArtifactEdit "artifact_edit" Artifact ["e"] "edit it, where a gate asks about it" "";

    FollowSaid "follow_transcript" Transcript ["f"] "follow what the agent says" "follow";
    FoldCalls "fold_calls" Transcript ["Space"] "tool calls with all they were told and answered, or one line each (Enter too)" "calls";
    PrevAttempt "previous_attempt" Transcript ["["] "the attempt before" "";
    NextAttempt "next_attempt" Transcript ["]"] "the attempt after" "attempts";
    SaidPager "transcript_pager" Transcript ["o"] "read it in the pager ($PAGER)" "pager";

    Approve "approve" Gate ["A"] "approve (asks for Enter)" "approve";
    AllowPhase "allow_phase" Gate ["P"] "allow every call of a tool in this phase (asks for Enter)" "this phase";
    AllowRun "allow_run" Gate ["R"] "allow every call of a tool in this run (asks for Enter)" "this run";
    GateCheaper "gate_cheaper" Gate ["C"] "at a budget: somebody cheaper goes on (asks who)" "cheaper";
    RequestChanges "request_changes" Gate ["c"] "request changes, with words" "changes";
    Reject "reject" Gate ["X"] "reject, with a reason" "reject";
    GateEdit "gate_edit" Gate ["e"] "edit it ($EDITOR): your version is asked about anew" "edit";
    GatePager "gate_pager" Gate ["o"] "read it in the pager ($PAGER)" "pager";
    Fork "fork" Gate ["F"] "let another persona make this phase again, beside it (asks who)" "fork";
    Pick "pick" Gate ["K"] "take the artifact of a fork in its place (asks which)" "";
    GateResume "gate_resume" Gate ["r"] "let a paused run go on, and act on the answer" "resume";
    GateAbort "gate_abort" Gate ["x"] "end the run (asks)" "";
    PrevTab "previous_tab" Gate ["[", "Shift-Tab"] "tab to the left" "";
    NextTab "next_tab" Gate ["]", "Tab"] "tab to the right" "tabs";

    NextLook "next_look" Look ["]", "Tab"] "the next part" "next";
    PrevLook "previous_look" Look ["[", "Shift-Tab"] "the part before" "";

    FormNext "form_next" Form ["Tab"] "next field" "fields";
    FormPrev "form_previous" Form ["Shift-Tab"] "field before" "";
    FormStart "form_start" Form ["Ctrl-S", "Alt-Enter"] "start the run" "start";
    FormEdit "form_edit" Form ["Ctrl-E", "Alt-e"] "write the wish in the editor ($EDITOR)" "editor";
    FormTrust "form_trust" Form ["Alt-t"] "look at what the repository brings, and allow it to be used (asks)" "";
    FormClear "form_clear" Form ["Alt-n"] "empty the form (asks)" "";
    FormLeave "form_leave" Form ["Esc"] "back, what was written is kept" "back, text is kept";

    Submit "submit" Text ["Ctrl-S", "Alt-Enter"] "send it" "send";
    Leave "leave_text" Text ["Esc"] "back, the text is kept" "back, text is kept";
    TextFocus "text_focus" Text ["Tab"] "between text and button" "to the button";
}

/// Which chords do what.
#[derive(Clone, Debug)]
pub struct Keymap {
    chords: BTreeMap<Action, Vec<KeyChord>>,
}

impl Default for Keymap {
    fn default() -> Self {
        let chords = TABLE.iter().map(|entry| {
            (
                entry.action,
                entry.chords.iter().filter_map(|c| c.parse().ok()).collect(),
            )
        });
        Self {
            chords: chords.collect(),
        }
    }
}

impl Keymap {
    /// The built-in table with the operator's chords in place of its own.
    ///
    /// # Errors
    /// `config_invalid`, one for each unknown action, unknown key and each chord that would mean two
    /// things in one place.
    pub fn remapped(keys: &BTreeMap<String, Vec<String>>) -> Result<Self, Vec<Failure>> {
        let (mut map, mut problems) = (Self::default(), Vec::new());
        for (name, chords) in keys {
            match TABLE.iter().find(|entry| entry.name == name) {
                Some(entry) => drop(
                    map.chords
                        .insert(entry.action, read_chords(name, chords, &mut problems)),
                ),
                None => problems.push(unknown_action(name)),
            }
        }
        // The built-in table has none, which a test holds; looking is not free, and the first frame waits.
        if !keys.is_empty() {
            problems.extend(map.conflicts());
        }
        if problems.is_empty() {
            Ok(map)
        } else {
            Err(problems)
        }
    }

    /// What a chord does where `context` has the focus. Texts know no global keys.
    #[must_use]
    pub fn action(&self, context: KeyContext, chord: KeyChord) -> Option<Action> {
        let within = |wanted: KeyContext| {
            TABLE
                .iter()
                .find(|entry| {
                    entry.context == wanted && self.chords_of(entry.action).contains(&chord)
                })
                .map(|entry| entry.action)
        };
        let outer = outer(context);
        within(context).or_else(|| outer.iter().find_map(|outer| within(*outer)))
    }

    /// The chords of an action, the one to show first.
    #[must_use]
    pub fn chords_of(&self, action: Action) -> &[KeyChord] {
        self.chords.get(&action).map_or(&[], Vec::as_slice)
    }

    /// The chord to show for an action; empty when it has none.
    #[must_use]
    pub fn display_keys(&self, action: Action) -> String {
        self.chords_of(action)
            .first()
            .map(KeyChord::to_string)
            .unwrap_or_default()
    }

    /// The lines of the help for one context: all chords, and what they do.
    pub fn help(&self, context: KeyContext) -> impl Iterator<Item = (String, &'static str)> + '_ {
        TABLE
            .iter()
            .filter(move |entry| entry.context == context)
            .map(|entry| {
                let chords: Vec<String> = self
                    .chords_of(entry.action)
                    .iter()
                    .map(KeyChord::to_string)
                    .collect();
                (chords.join("  "), entry.label)
            })
    }

    /// Every action of one context: its name in settings, its chords, what it does.
    pub fn table(
        &self,
        context: KeyContext,
    ) -> impl Iterator<Item = (&'static str, Vec<String>, &'static str)> + '_ {
        TABLE
            .iter()
            .filter(move |entry| entry.context == context)
            .map(|entry| {
                (
                    entry.name,
                    self.chords_of(entry.action)
                        .iter()
                        .map(KeyChord::to_string)
                        .collect(),
                    entry.label,
                )
            })
    }

    /// Key and word of an action for the hint line.
    #[must_use]
    pub fn hint(&self, action: Action) -> (String, &'static str) {
        let word = TABLE
            .iter()
            .find(|entry| entry.action == action)
            .map_or("", |entry| entry.hint);
        (self.display_keys(action), word)
    }

    /// The keys of an action for the hint line: of a pair that turns there and back, both.
    #[must_use]
    pub fn hint_keys(&self, action: Action) -> String {
        let back = match action {
            Action::NextVersion => Some(Action::PrevVersion),
            Action::NextAttempt => Some(Action::PrevAttempt),
            Action::NextTab => Some(Action::PrevTab),
            Action::FormNext => Some(Action::FormPrev),
            _ => None,
        };
        let keys = back
            .into_iter()
            .chain([action])
            .map(|action| self.display_keys(action))
            .filter(|keys| !keys.is_empty());
        keys.collect::<Vec<_>>().join(" ")
    }

    /// What the palette offers where `context` has the focus: action, sentence, chord.
    pub fn is_bound(
        &self,
        context: KeyContext,
    ) -> impl Iterator<Item = (Action, &'static str, String)> + '_ {
        let outer = outer(context);
        TABLE
            .iter()
            .filter(move |entry| entry.context == context || outer.contains(&entry.context))
            .map(|entry| (entry.action, entry.label, self.display_keys(entry.action)))
    }
}

/// The contexts that a key falls through to.
fn outer(context: KeyContext) -> &'static [KeyContext] {
    match context {
        KeyContext::Text | KeyContext::Form | KeyContext::Global => &[],
        KeyContext::Log | KeyContext::Artifact | KeyContext::Transcript => {
            &[KeyContext::Reading, KeyContext::Run, KeyContext::Global]
        }
        KeyContext::Run | KeyContext::Gate => &[KeyContext::Reading, KeyContext::Global],
        KeyContext::List | KeyContext::Picker | KeyContext::Look | KeyContext::Reading => {
            &[KeyContext::Global]
        }
    }
}

fn read_chords(name: &str, chords: &[String], problems: &mut Vec<Failure>) -> Vec<KeyChord> {
    let mut read = Vec::new();
    for chord in chords {
        match chord.parse::<KeyChord>() {
            // Ctrl-C always leaves: a console that cannot be left is a trap.
            Ok(chord) if chord == KeyChord::ctrl('c') => {
                problems.push(
                    problem(format!("keys.{name}: Ctrl-C always pauses and quits"))
                        .hint("choose another key"),
                );
            }
            Ok(chord) => read.push(chord),
            Err(why) => problems.push(
                problem(format!("keys.{name}: {why}"))
                    .hint("write keys like q, G, Ctrl-D, Alt-Enter, PgDn, F5"),
            ),
        }
    }
    read
}

fn problem(message: String) -> Failure {
    Failure::new(Code::ConfigInvalid, message)
}

fn unknown_action(name: &str) -> Failure {
    let near = TABLE.iter().max_by(|a, b| {
        strsim::jaro_winkler(a.name, name).total_cmp(&strsim::jaro_winkler(b.name, name))
    });
    let near = near.map_or("open", |entry| entry.name);
    problem(format!("keys.{name}: there is no such action")).hint(format!("did you mean '{near}'?"))
}

/// Whether a key may move something and can never do harm.
#[must_use]
pub fn is_movement(action: Action) -> bool {
    use Action::{Bottom, Down, PageDown, PageUp, Top, Up};
    matches!(action, Up | Down | PageUp | PageDown | Top | Bottom)
}

/// The chord that always leaves, whatever the settings say.
pub const ALWAYS_LEAVES: KeyChord = KeyChord {
    code: KeyCode::Char('c'),
    ctrl: true,
    alt: false,
};

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pairs: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
        pairs
            .iter()
            .map(|(name, chords)| {
                (
                    (*name).to_owned(),
                    chords.iter().map(|c| (*c).to_owned()).collect(),
                )
            })
            .collect()
    }

    #[test]
    fn the_built_in_table_reads_and_has_no_conflicts() {
        let map = Keymap::default();
        assert!(map.conflicts().is_empty());
        for entry in TABLE {
            assert_eq!(
                map.chords_of(entry.action).len(),
                entry.chords.len(),
                "{}",
                entry.name
            );
        }
    }

    #[test]
    fn a_chosen_key_that_leaves_another_action_without_one_is_reported() {
        let said = |pairs: &[(&str, &[&str])]| {
            Keymap::remapped(&keys(pairs))
                .err()
                .unwrap_or_default()
                .into_iter()
                .map(|p| p.message)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            said(&[("pause", &["q"])]),
            ["keys: q for 'pause' leaves no key for 'quit' in 'A run'"]
        );
        assert_eq!(
            said(&[("pause", &["q"]), ("quit", &["q", "F10"])]),
            Vec::<String>::new(),
            "there is another one"
        );
        assert_eq!(
            said(&[("zoom", &["k"])]),
            Vec::<String>::new(),
            "the arrow is left"
        );
        let lost = |action: &str, place: &str| {
            format!("keys: f for '{action}' leaves no key for 'next_gate' in '{place}'")
        };
        assert_eq!(
            said(&[("next_gate", &["f"])]),
            [
                lost("follow", "Events"),
                lost("follow_transcript", "Transcript")
            ]
        );
        assert_eq!(
            said(&[("submit", &["q"])]),
            Vec::<String>::new(),
            "a text knows no other keys"
        );
    }

    #[test]
    fn a_key_that_moves_can_never_be_chosen_for_an_action_that_does_something() {
        for (action, key, moves) in [
            ("approve", "j", "down"),
            ("abort", "PgDn", "page_down"),
            ("call_done", "G", "bottom"),
        ] {
            let problems = Keymap::remapped(&keys(&[(action, &[key])])).unwrap_err();
            let told = format!(
                "keys: {key} for '{action}' is also the key for '{moves}', and a key that moves never does harm"
            );
            assert_eq!(
                problems
                    .iter()
                    .map(|p| p.message.as_str())
                    .collect::<Vec<_>>(),
                [told]
            );
        }
        let elsewhere = Keymap::remapped(&keys(&[("down", &["Down"]), ("approve", &["j"])]));
        assert!(elsewhere.is_ok(), "then j moves nothing");
    }

    #[test]
    fn every_ctrl_key_has_a_twin() {
        let map = Keymap::default();
        for entry in TABLE {
            let chords = map.chords_of(entry.action);
            assert!(
                chords.iter().all(|c| !c.ctrl) || chords.iter().any(|c| !c.ctrl),
                "{}",
                entry.name
            );
        }
    }

    #[test]
    fn the_context_with_the_focus_wins_over_the_global_one() {
        let map = Keymap::default();
        assert_eq!(
            map.action(KeyContext::Gate, KeyChord::char('x')),
            Some(Action::GateAbort)
        );
        assert_eq!(
            map.action(KeyContext::Run, KeyChord::char('x')),
            Some(Action::Abort)
        );
        assert_eq!(
            map.action(KeyContext::Log, KeyChord::char('p')),
            Some(Action::Pause)
        );
        assert_eq!(map.action(KeyContext::Text, KeyChord::char('q')), None);
    }

    #[test]
    fn settings_replace_keys_and_every_problem_is_reported_at_once() {
        let map = Keymap::remapped(&keys(&[("quit", &["Q"])])).unwrap();
        assert_eq!(
            map.action(KeyContext::Global, KeyChord::char('Q')),
            Some(Action::Quit)
        );
        assert_eq!(map.action(KeyContext::Global, KeyChord::char('q')), None);

        let problems = Keymap::remapped(&keys(&[
            ("quit", &["j", "Hyper-x"]),
            ("aprove", &["a"]),
            ("help", &["Ctrl-C"]),
        ]))
        .unwrap_err();
        let said: Vec<&str> = problems.iter().map(|p| p.message.as_str()).collect();
        assert_eq!(
            said,
            [
                "keys.aprove: there is no such action",
                "keys.help: Ctrl-C always pauses and quits",
                "keys.quit: 'Hyper-x' is no key",
                "keys: j would mean both 'down' and 'quit'",
            ]
        );
        assert_eq!(problems[0].hint, "did you mean 'approve'?");
        assert!(problems.iter().all(|p| p.code == Code::ConfigInvalid));
    }
}
