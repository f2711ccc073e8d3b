//! What only a person can do: press a power button, for instance.

use std::io::BufRead as _;

use anyhow::Result;

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// The person at the terminal.
    AtTheTerminal,
    /// Nobody is there: such steps are not done.
    Absent,
}

/// What they say.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done, and went well.
    Done,
    /// It was done, and went wrong.
    Failed,
    /// It was not done.
    NotDone(String),
}

impl Operator {
    /// Asks for `task` to be done.
    ///
    /// # Errors
    /// If the terminal cannot be read.
    pub fn ask(self, task: &str) -> Result<Answer> {
        if self == Self::Absent {
            return Ok(Answer::NotDone(format!(
                "nobody was there to do it: {task}"
            )));
        }
        loop {
            // A whole line: PowerShell passes on nothing less.
            println!("      {task}\n      done [y], went wrong [n], not now [s]?");
            let mut answer = String::new();
            if std::io::stdin().lock().read_line(&mut answer)? == 0 {
                return Ok(Answer::NotDone("the terminal was closed".into()));
            }
            match answer.trim() {
                "y" => return Ok(Answer::Done),
                "n" => return Ok(Answer::Failed),
                "s" => return Ok(Answer::NotDone("the operator left it out".into())),
                _ => {}
            }
        }
    }
}
