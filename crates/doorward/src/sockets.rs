//! The listening sockets, from one configuration to the next: an address that stays keeps its socket and gets the new
//! certificate, a new one is bound before anything changes, and one that is gone accepts no more. Connections go on.

use std::{convert::Infallible, io, mem, sync::Arc, thread};

use arc_swap::ArcSwap;
use doorward_net::{ListenAddress, Listener, TlsServerConfig};
use doorward_options::{OptionError, Sources, problem};
use doorward_server::{
    Gate,
    connection::{Workers, serve_metrics},
    gate::Limits,
    ingress::Duty,
};
use tokio::task::{AbortHandle, JoinSet};

use crate::assemble::listeners::{Endpoint, Listeners};

/// What is listened on, and the workers behind it.
#[derive(Debug)]
pub(crate) struct Sockets {
    workers: Arc<Workers>,
    gate: Arc<ArcSwap<Gate>>,
    open: Vec<Open>,
    tasks: JoinSet<Infallible>,
}

#[derive(Debug)]
struct Open {
    service: Service,
    address: ListenAddress,
    listener: Arc<Listener>,
    task: AbortHandle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Requests,
    Metrics,
    /// Questions of Envoy.
    Checks,
}

/// What to listen on from now on. Whatever was not bound before is bound.
#[derive(Debug)]
pub(crate) struct Plan(Vec<Planned>);

#[derive(Debug)]
enum Planned {
    Stays { service: Service, address: ListenAddress, tls: Option<TlsServerConfig> },
    New { service: Service, address: ListenAddress, listener: Arc<Listener> },
}

impl Sockets {
    /// Starts the workers, which begin with this gate.
    pub(crate) fn new(gate: Arc<Gate>, limits: Limits) -> io::Result<Self> {
        let gate = Arc::new(ArcSwap::new(gate));
        let workers = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers = Arc::new(Workers::start(workers, &gate, limits)?);
        Ok(Self { workers, gate, open: Vec::new(), tasks: JoinSet::new() })
    }

    /// Binds what is new. As long as the plan is not carried out, nothing has changed.
    pub(crate) async fn plan(
        &self,
        listeners: Listeners,
        sources: &Sources,
    ) -> Result<Plan, Vec<OptionError>> {
        let Listeners { requests, metrics, checks, https: _ } = listeners;
        let requests = requests.into_iter().map(|endpoint| (Service::Requests, endpoint));
        let metrics = metrics.into_iter().map(|endpoint| (Service::Metrics, endpoint));
        let checks = checks.into_iter().map(|endpoint| (Service::Checks, endpoint));
        let (mut plan, mut errors) = (Vec::new(), Vec::new());
        for (service, Endpoint { option, address, tls }) in requests.chain(metrics).chain(checks) {
            if let Some(open) = self.open.iter().find(|open| open.is_for(service, &address)) {
                if open.address != address {
                    tracing::warn!("The mode of {address} changes with the next start of the program only.");
                }
                plan.push(Planned::Stays { service, address, tls });
                continue;
            }
            match Listener::bind(&address, tls).await {
                Ok(listener) => {
                    plan.push(Planned::New { service, address, listener: Arc::new(listener) });
                }
                Err(error) => {
                    let mend = "free the address, or write another one";
                    errors.push(problem(sources, option, error.to_string(), mend));
                }
            }
        }
        if errors.is_empty() { Ok(Plan(plan)) } else { Err(errors) }
    }

    /// Listens as planned, and answers with this gate.
    pub(crate) fn carry_out(&mut self, Plan(plan): Plan, gate: Arc<Gate>) {
        self.gate.store(gate);
        let mut former = mem::take(&mut self.open);
        for planned in plan {
            match planned {
                Planned::Stays { service, address, tls } => {
                    if let Some(at) = former.iter().position(|open| open.is_for(service, &address)) {
                        let open = former.swap_remove(at);
                        open.listener.replace_tls(tls);
                        self.open.push(open);
                    }
                }
                Planned::New { service, address, listener } => {
                    let task = self.serve(service, &address, &listener);
                    self.open.push(Open { service, address, listener, task });
                }
            }
        }
        for gone in former {
            tracing::info!("No longer listening on {}.", gone.address);
            gone.task.abort();
        }
        while self.tasks.try_join_next().is_some() {}
    }

    fn serve(&mut self, service: Service, address: &ListenAddress, listener: &Arc<Listener>) -> AbortHandle {
        let listener = Arc::clone(listener);
        match service {
            Service::Requests => {
                tracing::info!("Listening on {address}.");
                let workers = Arc::clone(&self.workers);
                self.tasks.spawn(async move { workers.accept_from(&listener, Duty::Carry).await })
            }
            Service::Checks => {
                tracing::info!("Answering Envoy's questions on {address}.");
                let workers = Arc::clone(&self.workers);
                self.tasks.spawn(async move { workers.accept_from(&listener, Duty::Tell).await })
            }
            Service::Metrics => {
                tracing::info!("Serving metrics on {address}.");
                self.tasks.spawn(serve_metrics(listener, Arc::clone(&self.gate)))
            }
        }
    }

    /// Accepts no more, and lets requests under way finish.
    pub(crate) async fn close(self) {
        let Self { workers, gate: _, open, mut tasks } = self;
        tasks.shutdown().await;
        drop(open);
        if let Some(workers) = Arc::into_inner(workers) {
            workers.drain().await;
        }
    }
}

impl Open {
    fn is_for(&self, service: Service, address: &ListenAddress) -> bool {
        self.service == service && self.address.is_same_place(address)
    }
}
