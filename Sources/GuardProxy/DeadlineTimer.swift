import NIOCore

/// One deadline that moves often and seldom passes.
///
/// Moving it costs a store: the scheduled task is kept and looks, when it fires, whether the deadline has moved on.
/// A task per request and timeout would cost more than the rest of the connection handling.
final class DeadlineTimer {
    private let eventLoop: any EventLoop
    private var deadline: NIODeadline?
    private var task: Scheduled<Void>?
    private var taskDeadline: NIODeadline = .distantFuture
    private var onPass: (() -> Void)?

    init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }

    /// `action` runs once on the event loop when `amount` has passed without another `set` or `clear`.
    func set(_ amount: TimeAmount, _ action: @escaping () -> Void) {
        let deadline = eventLoop.now + amount
        self.deadline = deadline
        onPass = action
        if task == nil || deadline < taskDeadline { schedule(deadline) }
    }

    var isSet: Bool { deadline != nil }

    func clear() {
        deadline = nil
        onPass = nil
    }

    /// Also drops the scheduled task; for the end of the owner.
    func cancel() {
        clear()
        task?.cancel()
        task = nil
    }

    private func schedule(_ at: NIODeadline) {
        task?.cancel()
        taskDeadline = at
        task = eventLoop.assumeIsolated().scheduleTask(deadline: at) { [weak self] in self?.fire() }
    }

    private func fire() {
        task = nil
        guard let deadline else { return }
        if eventLoop.now < deadline {
            schedule(deadline)
        } else {
            let action = onPass
            clear()
            action?()
        }
    }
}
