import GuardAdmin
import GuardJSON
import GuardPolicy

extension AdminOperations {
    /// What the admin listener offers, by the snapshot in force at each call.
    init(_ engine: Engine) {
        self.init(
            check: { (input: JSONNode) async throws(AdminProblem) -> [UInt8] in
                let operation = CheckOperation(engine.snapshot)
                let result: Result<[UInt8], CheckOperation.Problem> = engine.scratch.with { scratch in
                    do throws(CheckOperation.Problem) {
                        return .success(try operation.run(input, scratch: &scratch))
                    } catch {
                        return .failure(error)
                    }
                }
                do throws(CheckOperation.Problem) { return try result.get() } catch { throw AdminProblem(error.message) }
            },
            tokenize: { (input: JSONNode) async throws(AdminProblem) -> [UInt8] in
                let catalog = engine.snapshot.catalog
                let name = input["model"]?.string ?? catalog.defaultModel
                let entry = name.map { catalog.entry(named: $0) } ?? catalog.entries.first
                guard let entry else {
                    throw AdminProblem(status: 404, code: "model_not_found", "The model does not exist.")
                }
                guard let operation = TokenizeOperation(entry) else {
                    throw AdminProblem(status: 404, code: "model_not_found", "The model has no tokenizer.")
                }
                do throws(TokenizeOperation.Problem) { return try operation.run(input) } catch {
                    throw AdminProblem(error.message)
                }
            })
    }
}
