//! The mouse: what lies where on the screen, and what a click or the wheel does there.
//!
//! A frame tells its places; the wheel moves what is under the pointer, a click gives the focus. Neither
//! ever answers a question: there is no place that does.

use super::keymap::Action;
use crate::app::screens::run::state::RunPane;

/// Column and row, from 0.
pub type ScreenPosition = (u16, u16);

/// What the mouse did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MouseInput {
    /// The wheel was turned away from the operator.
    WheelUp(ScreenPosition),
    /// The wheel was turned towards the operator.
    WheelDown(ScreenPosition),
    /// The first button was pressed.
    Click(ScreenPosition),
}

impl MouseInput {
    /// Where the pointer was.
    #[must_use]
    pub fn position(self) -> ScreenPosition {
        match self {
            Self::WheelUp(at) | Self::WheelDown(at) | Self::Click(at) => at,
        }
    }

    /// The movement that the wheel makes.
    #[must_use]
    pub fn movement(self) -> Option<Action> {
        match self {
            Self::WheelUp(_) => Some(Action::Up),
            Self::WheelDown(_) => Some(Action::Down),
            Self::Click(_) => None,
        }
    }
}

/// What lies somewhere on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MouseTarget {
    /// A pane of a run.
    Pane(RunPane),
    /// The name of a pane in a row of tabs.
    Tab(RunPane),
    /// A row of the list on the screen, by its place in the list.
    Row(usize),
}

/// A part of the screen: column, row, width, height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HitRegion {
    /// Its left column.
    pub x: u16,
    /// Its upper row.
    pub y: u16,
    /// Its columns.
    pub width: u16,
    /// Its rows.
    pub height: u16,
    /// What is there.
    pub spot: MouseTarget,
}

impl HitRegion {
    fn contains(&self, (column, row): ScreenPosition) -> bool {
        (self.x..self.x.saturating_add(self.width)).contains(&column)
            && (self.y..self.y.saturating_add(self.height)).contains(&row)
    }
}

/// What lies at a point; what was drawn last lies on top.
#[must_use]
pub fn target_at(places: &[HitRegion], at: ScreenPosition) -> Option<MouseTarget> {
    places
        .iter()
        .rfind(|place| place.contains(at))
        .map(|place| place.spot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_drawn_place_is_the_one_that_is_hit() {
        let place = |x, width, spot| HitRegion {
            x,
            y: 1,
            width,
            height: 2,
            spot,
        };
        let places = [
            place(0, 10, MouseTarget::Pane(RunPane::Phases)),
            place(4, 2, MouseTarget::Row(7)),
        ];
        assert_eq!(
            target_at(&places, (3, 2)),
            Some(MouseTarget::Pane(RunPane::Phases))
        );
        assert_eq!(target_at(&places, (4, 1)), Some(MouseTarget::Row(7)));
        assert_eq!(target_at(&places, (4, 3)), None);
        assert_eq!(target_at(&places, (10, 1)), None);
    }
}
