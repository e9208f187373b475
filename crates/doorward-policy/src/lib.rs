//! Policies by name, whoever evaluates them: Rego inside this process, a remote Open Policy Agent, or an authoriser of
//! Kubernetes. A question goes in, a decision comes out; what is undefined, of another type, late or faulty is never a
//! yes. Which policy a request needs is the business of `doorward-authz`.
