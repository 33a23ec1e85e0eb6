//! The broker as a program: flags, the runtime, signals.

use std::io::Write;
use std::process::ExitCode;

use leveret::config::{LoadError, LogLevel, Task, load};
use leveret::systemd::{self, Supervisor};
use leveret::{AuditLog, Broker, Certificates, Config, Pulse, offline, self_signed};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // It is no broker, and takes none of its settings.
    if std::env::args_os().nth(1).is_some_and(|word| word == "bench") {
        return leveret_bench::main(std::env::args_os().skip(1));
    }
    let loaded = match load(std::env::args_os(), std::env::vars()) {
        Ok(loaded) => loaded,
        // Help and the version are errors to clap, but not to the user.
        Err(LoadError::Flags(shown)) if !shown.use_stderr() => {
            return if shown.print().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(LoadError::Flags(error)) => {
            let text = error.to_string();
            let what = text.split("\n\n").next().unwrap_or_default();
            let line = what.lines().map(str::trim).collect::<Vec<_>>().join(" ");
            return fail(&format_args!("{}; see --help", line.trim_start_matches("error: ")));
        }
        Err(error) => return fail(&error),
    };
    log_to_stderr(loaded.config.log_level);
    raise_file_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let done = match &loaded.task {
        Task::Serve => runtime.block_on(run(loaded.config)).map(|()| true),
        Task::StorageCheck => {
            offline::check(loaded.config, runtime.handle(), &mut std::io::stdout().lock())
                .map_err(Into::into)
        }
        Task::StorageDump { vhost, queue } => {
            let out = &mut std::io::BufWriter::new(std::io::stdout().lock());
            let dumped = offline::dump(loaded.config, runtime.handle(), (vhost, queue), out);
            dumped.map(|()| true).map_err(Into::into)
        }
        Task::SelfSigned { directory, names, user } => {
            let out = &mut std::io::stdout().lock();
            self_signed::write(directory, names, user, out).map(|()| true).map_err(Into::into)
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => fail(&*error),
    }
}

async fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    // Not `ctrl_c`, which listens only once it is waited for: clients may be there before that.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let hangup = signal(SignalKind::hangup())?;
    let data_dir = config.data_dir.clone();
    let supervisor = Supervisor::of_environment()?;
    supervisor.status("reading the journal");
    let broker = Broker::start_on(config, systemd::sockets()?).await?;
    announce(&broker, &data_dir)?;
    supervisor.ready(AT_WORK);
    tokio::spawn(beat(supervisor.clone(), broker.pulse()));
    tokio::spawn(reload_at_hangup(
        hangup,
        broker.certificates(),
        broker.audit_log(),
        supervisor.clone(),
    ));
    broker
        .run(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            supervisor.stopping();
        })
        .await?;
    Ok(())
}

/// Takes all file descriptors that the process may have: the soft limit is often far below that.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, ?limit, "the limit of file descriptors stays as it is");
    }
}

/// Tells the supervisor that all is well, for as long as it is.
async fn beat(supervisor: Supervisor, pulse: Pulse) {
    let Some(every) = supervisor.beats_every() else { return };
    loop {
        let (pulse, supervisor) = (pulse.clone(), supervisor.clone());
        let beating = tokio::task::spawn_blocking(move || {
            pulse.feel();
            supervisor.beat();
        });
        // One that has failed is missed by the supervisor.
        _ = beating.await;
        tokio::time::sleep(every).await;
    }
}

async fn reload_at_hangup(
    mut hangup: Signal,
    certificates: Certificates,
    audit_log: AuditLog,
    supervisor: Supervisor,
) {
    while hangup.recv().await.is_some() {
        supervisor.reloading();
        let audit_log = audit_log.clone();
        // The disk may take its time.
        if tokio::task::spawn_blocking(move || audit_log.reopen()).await.unwrap_or(false) {
            tracing::info!("the audit log was opened again");
        }
        match certificates.reload() {
            Ok(true) => tracing::info!("the files for TLS were read again"),
            Ok(false) => tracing::info!("there are no files for TLS to be read again"),
            Err(error) => {
                tracing::error!(%error, "the files for TLS cannot be used; those before stay in use");
            }
        }
        supervisor.ready(AT_WORK);
    }
}

fn announce(broker: &Broker, data_dir: &std::path::Path) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "leveret {} keeps its data in {}",
        env!("CARGO_PKG_VERSION"),
        data_dir.display()
    )?;
    for (protocol, address) in broker.addresses() {
        writeln!(out, "listening for {protocol} on {address}")?;
    }
    for (protocol, path) in broker.unix_sockets() {
        writeln!(out, "listening for {protocol} on {}", path.display())?;
    }
    out.flush()
}

fn log_to_stderr(level: LogLevel) {
    let level = match level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Trace => tracing::Level::TRACE,
    };
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
}

/// What the supervisor shows.
const AT_WORK: &str = "serving clients";

fn fail(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("leveret: {error}");
    ExitCode::FAILURE
}
