package import GuardBudgets
package import GuardCore
import GuardDecisionLog
package import GuardLLMSchema
package import GuardRules
import GuardStreaming
package import GuardTokenizers

/// What a request is judged by. Immutable, captured once per request; reload compiles a new one and swaps it, and
/// running streams end under theirs.
package final class PolicySnapshot: Sendable {
    package let options: PolicyOptions
    package let catalog: ModelCatalog
    package let bundle: RuleBundle
    package let budgets: BudgetSet
    package let router: Router
    /// Of `tokens` conditions, by the name in the rule: for tests, where no model is served.
    let ruleTokenizers: [String: Tokenizer]
    let streamPlan: StreamPlan
    /// What every record says of the bundle.
    let policyRecord: DecisionRecord.Policy
    /// Ready made where no output rule asks for model, tenant or route.
    private let commonStreamPolicy: StreamPolicy?

    package init(
        options: PolicyOptions, catalog: ModelCatalog, bundle: RuleBundle, budgets: [Budget] = [],
        ruleTokenizers: [String: Tokenizer] = [:]
    ) {
        self.options = options
        self.catalog = catalog
        self.bundle = bundle
        self.ruleTokenizers = ruleTokenizers
        self.budgets = BudgetSet(budgets, mode: options.mode)
        self.router = Router(api: options.request.api)
        policyRecord = .init(hash: Label(bundle.hash), version: Label(bundle.version))
        let plan = StreamPlan(
            bundle: bundle, mode: .weakest(options.mode, options.policyMode), holdBytes: options.holdBytes)
        streamPlan = plan
        commonStreamPolicy =
            bundle.hasConditions
            ? nil
            : StreamPolicy(
                plan: plan, bundle: bundle,
                selected: bundle.select(phase: .output, model: nil, tenant: nil, route: nil))
    }

    /// What judges the stream of one request.
    func streamPolicy(model: String?, tenant: String?, route: String?) -> StreamPolicy {
        commonStreamPolicy
            ?? StreamPolicy(
                plan: streamPlan, bundle: bundle,
                selected: bundle.select(phase: .output, model: model, tenant: tenant, route: route))
    }

    /// Of rules: the weaker of the global and the policy's mode.
    package var rulesMode: Mode { .weakest(options.mode, options.policyMode) }
}

/// The scalars of guard.yaml that decide about requests.
package struct PolicyOptions: Sendable {
    /// What a scan that is not complete means.
    package enum Failure: String, Sendable, CaseIterable { case closed, open }
    /// How a stream that is blocked ends.
    package enum OnBlock: String, Sendable, CaseIterable { case error, contentFilter }

    /// `monitor` turns every refusal into `wouldAction`.
    package var mode: Mode = .enforce
    package var policyMode: Mode = .enforce
    package var failure: Failure = .closed
    package var blockStatus = 400
    package var onBlock: OnBlock = .error
    package var request = RequestOptions()
    /// Most bytes of one channel that are held.
    package var holdBytes = 65_536
    package var responseBytes = 67_108_864
    /// Canonical paths and methods that pass unread though no schema knows them.
    package var passThroughRoutes: [(path: Glob, methods: Set<String>)] = []

    package init() {}
}
