//! Baseline for the console: a minimal program that shows the newest runs of a database, one
//! screenful, and moves a cursor through them.

use std::path::Path;

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode};
use ratatui::style::Modifier;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use rusqlite::{Connection, OpenFlags};

use crate::measure::BenchResult;

/// Shows the runs until `q` is pressed.
pub fn show(database: &Path) -> BenchResult<()> {
    let mut terminal = ratatui::init();
    let rows = terminal.size()?.height.saturating_sub(1);
    let runs = newest(database, rows)?;
    let mut cursor = 0;
    loop {
        terminal.draw(|frame| draw(frame, &runs, cursor))?;
        match event::read()? {
            Event::Key(key) if key.code == KeyCode::Char('q') => break,
            Event::Key(key) if key.code == KeyCode::Char('j') => {
                cursor = (cursor + 1).min(runs.len() - 1)
            }
            Event::Key(key) if key.code == KeyCode::Char('k') => cursor = cursor.saturating_sub(1),
            _ => {}
        }
    }
    ratatui::restore();
    Ok(())
}

fn draw(frame: &mut Frame<'_>, runs: &[String], cursor: usize) {
    let mut lines = vec![Line::from(format!("line {} of {}", cursor + 1, runs.len()))];
    lines.extend(runs.iter().enumerate().map(|(at, run)| {
        let line = Line::from(run.as_str());
        if at == cursor {
            line.style(Modifier::REVERSED)
        } else {
            line
        }
    }));
    frame.render_widget(Paragraph::new(lines), frame.area());
}

fn newest(database: &Path, rows: u16) -> BenchResult<Vec<String>> {
    let conn = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut query =
        conn.prepare("SELECT substr(id, -8), workflow, state, cost_nano FROM runs ORDER BY created_at_ms DESC, id DESC LIMIT ?1")?;
    let told = query.query_map([rows], |row| {
        let (id, workflow, state, cost): (String, String, String, i64) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(format!("{state:<12}{id}  {workflow:<24}{cost:>12}"))
    })?;
    Ok(told.collect::<Result<_, _>>()?)
}
