/// A line of `guardctl check` or `tokenize`, or a body of the admin endpoints, that cannot be answered. `message` names
/// fields, never their content.
package struct QueryError: Error, Sendable, Hashable, CustomStringConvertible {
    package enum Code: String, Sendable { case invalidRequest = "invalid_request", modelNotFound = "model_not_found" }

    package var code: Code
    package var message: String

    package init(_ message: String) { (code, self.message) = (.invalidRequest, message) }

    package init(_ code: Code, _ message: String) { (self.code, self.message) = (code, message) }

    package var description: String { message }
}
