//! `doorward session`: lists and ends sessions of users, as the admin API does, through the Redis that the running
//! instances use. What is in the memory of an instance no command reaches.

use std::{ffi::OsString, time::SystemTime};

use doorward_core::Timestamp;
use doorward_options::Loaded;
use doorward_session::{Ledger, Tickets, Whom};

use super::{Words, failed, say};
use crate::{
    assemble::{problems::Problems, sessions},
    files::Files,
    reload,
    run::{Failure, runtime},
};

const USAGE: &str = "\
doorward session list USER
doorward session end USER [--id=ID]
USER is a user id, an e-mail address or a preferred name. Each takes the options of the server, or --config=FILE.";

/// A command, read.
enum Command {
    List(String),
    EndAll(String),
    EndOne { user: String, id: String },
}

/// Runs a command; `args` begin with `session`.
pub(crate) fn run(args: &[OsString]) -> Result<(), Failure> {
    let words: Option<Vec<String>> = args.iter().map(|word| word.to_str().map(ToOwned::to_owned)).collect();
    let Words { positional, mut own, others } = Words::split(words.ok_or_else(usage)?, &["--id"]);
    let id = own.remove("--id").and_then(|mut ids| ids.pop());
    let positional = Vec::from(positional);
    let positional: Vec<&str> = positional.iter().map(String::as_str).collect();
    let command = match (positional.as_slice(), id) {
        (["session", "list", user], None) => Command::List((*user).to_owned()),
        (["session", "end", user], None) => Command::EndAll((*user).to_owned()),
        (["session", "end", user], Some(id)) => Command::EndOne { user: (*user).to_owned(), id },
        _ => return Err(usage()),
    };
    runtime()?.block_on(async {
        let ledger = open(&others).await?;
        carry_out(command, &ledger).await
    })
}

async fn carry_out(command: Command, ledger: &Ledger) -> Result<(), Failure> {
    let now = Timestamp::from(SystemTime::now());
    match command {
        Command::List(_) if ledger.tickets() == Tickets::Elsewhere => Err(Failure::Command(
            "sessions are kept in cookies, so nobody knows which there are; they can be ended".to_owned(),
        )),
        Command::List(user) => {
            for session in ledger.list(&user, now).await.map_err(failed)? {
                let at = session.provider.map(|id| format!("  at {id}")).unwrap_or_default();
                say(&format!("{}  since {}  until {}{at}", session.id, session.since, session.expires));
            }
            Ok(())
        }
        Command::EndAll(user) => {
            let ended = ledger.end(&Whom::User(user), now).await.map_err(failed)?;
            say(&format!("Ended. Of these sessions, {} were in the store.", ended.len()));
            Ok(())
        }
        Command::EndOne { user, id } => match ledger.end_one(&user, &id, now).await.map_err(failed)? {
            Some(_) => Ok(()),
            None => {
                Err(Failure::Command("the user has no such session; see doorward session list".to_owned()))
            }
        },
    }
}

async fn open(args: &[OsString]) -> Result<Ledger, Failure> {
    let files = Files::default();
    let configuration = match reload::read(args, &files) {
        Ok(Loaded::Configuration(configuration, _)) => configuration,
        Ok(Loaded::Help(_) | Loaded::Version) => return Err(usage()),
        Err(error) => return Err(Failure::Command(error.to_string())),
    };
    let mut problems = Problems::new(&configuration.sources, &files);
    let ledger = sessions::ledger_for_commands(&configuration.options, &mut problems).await;
    ledger.ok_or_else(|| Failure::Invalid(problems.into_found()))
}

fn usage() -> Failure {
    Failure::Command(format!("this is no command; write one of\n{USAGE}"))
}
