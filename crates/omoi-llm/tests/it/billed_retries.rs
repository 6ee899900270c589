//! Tries that are billed though they failed: each further one is paid for before it is made.

use omoi_domain::money::NanoUsd;
use omoi_llm::wire::dialect::Dialect;

use crate::fallback::{house, question};
use crate::stub::{self, End, Stub};
use crate::support::{Logged, TestMeter, route};

#[tokio::test]
async fn a_budget_that_fits_one_try_pays_for_no_other() {
    for stream in [true, false] {
        // An answer that is cut before its first word is paid and asked for again.
        let cut = || stub::first(1, End::Clean);
        let cut_stub = Stub::start(vec![cut()], stub::good()).await;
        let rich = house(
            vec![route(Dialect::Messages, &cut_stub.url)],
            TestMeter::rich(),
        );
        assert_eq!(rich.ask(&question(stream)).await.0, 200);
        assert_eq!(cut_stub.calls(), 2);
        let Logged::Granted(projection) = rich.meter.log()[0].clone() else {
            panic!("the first is granted");
        };

        let cut_stub = Stub::start(vec![cut()], stub::good()).await;
        let meter = TestMeter::with_cap(projection.cost);
        let poor = house(vec![route(Dialect::Messages, &cut_stub.url)], meter);
        let (status, says) = poor.ask(&question(stream)).await;
        assert_eq!(cut_stub.calls(), 1, "{stream}: {status} {says}");
        assert!(says.contains("phase budget"), "{says}");
        let spent = poor.meter.spent();
        assert!(spent > NanoUsd::ZERO && spent <= projection.cost, "{spent}");
    }
}
