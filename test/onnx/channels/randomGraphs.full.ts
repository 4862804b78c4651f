import { describeRandomGraphs } from './randomGraphProperties';

describeRandomGraphs(1000, 3000);
