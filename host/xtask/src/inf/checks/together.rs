//! What packages must not share.

use crate::inf::Report;
use crate::inf::rule::{Finding, Rule};

/// Checks the packages against each other; a finding goes to the later one.
pub fn check(reports: &mut [Report]) {
    for later in 1..reports.len() {
        let (earlier, rest) = reports.split_at_mut(later);
        let report = &mut rest[0];
        for other in earlier.iter() {
            for service in &report.services {
                let same = |theirs: &&(String, usize)| theirs.0.eq_ignore_ascii_case(&service.0);
                if let Some(theirs) = other.services.iter().find(same) {
                    let message = format!(
                        "the service {} belongs to {}:{} already",
                        service.0,
                        other.path.display(),
                        theirs.1
                    );
                    report
                        .findings
                        .push(Finding::new(Rule::ServiceShared, service.1, message));
                }
            }
            if let (Some(own), Some(theirs)) = (&report.extension_id, &other.extension_id)
                && own.0.eq_ignore_ascii_case(&theirs.0)
            {
                let message = format!("{}:{} has the same", other.path.display(), theirs.1);
                report
                    .findings
                    .push(Finding::new(Rule::ExtensionIdShared, own.1, message));
            }
        }
    }
}
