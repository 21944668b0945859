/// What the parser makes: Jinja's own node types, before names are resolved.
indirect enum Expression: Sendable {
    case constant(Value)
    case name(String, line: Int)
    case list([Expression], line: Int)
    case tuple([Expression], line: Int)
    case dictionary([(key: Expression, value: Expression)], line: Int)
    case unary(UnaryOperator, Expression, line: Int)
    case binary(BinaryOperator, Expression, Expression, line: Int)
    case and(Expression, Expression)
    case or(Expression, Expression)
    case not(Expression)
    case compare(Expression, [(ComparisonOperator, Expression)], line: Int)
    case concatenation([Expression])
    /// `value if condition else otherwise`
    case conditional(condition: Expression, value: Expression, otherwise: Expression?)
    case attribute(Expression, String, line: Int)
    case item(Expression, Expression, line: Int)
    case slice(Expression?, Expression?, Expression?)
    case call(Expression, Arguments, line: Int)
    /// The value is `nil` in filter blocks and `{% set x | filter %}`.
    case filter(Expression?, String, Arguments, line: Int)
    case test(Expression, String, Arguments, line: Int)
}

struct Arguments: Sendable {
    var positional: [Expression] = []
    var named: [(name: String, value: Expression)] = []
    var spreadPositional: Expression?
    var spreadNamed: Expression?
}

enum UnaryOperator: Sendable { case minus, plus }

enum BinaryOperator: String, Sendable {
    case add = "+", subtract = "-", multiply = "*", divide = "/", floorDivide = "//", modulo = "%", power = "**"
}

enum ComparisonOperator: String, Sendable {
    case equal = "==", notEqual = "!=", less = "<", lessOrEqual = "<=", greater = ">", greaterOrEqual = ">="
    case contained = "in", notContained = "not in"
}

/// What `set`, `for`, `with` and parameters assign to.
indirect enum Target: Sendable {
    case name(String)
    case tuple([Target])
    case namespace(String, attribute: String, line: Int)
}

struct Signature: Sendable {
    var parameters: [String] = []
    /// Of the last parameters.
    var defaults: [Expression] = []
}

indirect enum Statement: Sendable {
    case text(PythonString)
    case output(Expression, line: Int)
    case assign(Target, Expression, line: Int)
    case assignBlock(Target, filter: Expression?, body: [Statement], line: Int)
    case conditional([(condition: Expression, body: [Statement])], otherwise: [Statement], line: Int)
    case loop(Loop)
    case macro(name: String, Signature, body: [Statement], line: Int)
    case callBlock(call: Expression, Signature, body: [Statement], line: Int)
    case filterBlock(Expression, body: [Statement], line: Int)
    case with([(Target, Expression)], body: [Statement], line: Int)
    /// A scope of its own without variables: `autoescape`, and the body of `generation`.
    case generation(body: [Statement], line: Int)
    case breakLoop(line: Int)
    case continueLoop(line: Int)
    /// A tag that needs other templates.
    case unsupported(String, line: Int)

    struct Loop: Sendable {
        var target: Target
        var iterable: Expression
        var condition: Expression?
        var isRecursive: Bool
        var body: [Statement]
        var otherwise: [Statement]
        var line: Int
    }
}
