import GuardDecisionLog
import GuardPolicy

/// Counts what the engine does.
final class EngineMetrics: EngineObserver {
    func ended(_ record: DecisionRecord, tenantLabel: String) {}
    func reloaded(succeeded: Bool) {}
    func logEvent(_ event: DecisionLog.Event) {}
    func prometheus(bufferedBytes: Int) -> [UInt8] { [] }
}
